"""How nbgrader builds and grades the labs. Read by grading/, by authoring/release.py and by the formgrader.

For those who write a lab. solutions/labNN_name/labNN.ipynb is its only source; labs/ is generated from it.

Exercise cell (code; solution). Signature and docstring stand outside the markers. The comment right above the
markers is the exercise's own hint: it stays, and a learner's traceback shows it right above the stub.

    def global_average(features):
        \"\"\"Mean over height and width: (B, C, H, W) -> (B, C).\"\"\"
        # Exercise 1: one line.
        ### BEGIN SOLUTION
        return features.mean(dim=(2, 3))
        ### END SOLUTION

becomes, for the learner,

        # Exercise 1: one line.
        raise NotImplementedError("write your answer here, then delete this line")

Test cell (code; grade, locked, points). Visible checks first, then the hidden ones between ### BEGIN HIDDEN
TESTS and ### END HIDDEN TESTS. It must not end in an expression: nbgrader takes its value for points.

Free-text cell (markdown; grade, solution, points). All of its text is the model answer and is replaced.

The grade_ids of test and free-text cells head the columns of the instructor's CSV, and the gradebook knows
cells by them: keep them short, and never change them once a lab was handed out.
"""

from pathlib import Path

c = get_config()  # noqa: F821  (nbgrader puts it into this file's namespace)

course = Path(__file__).resolve().parent
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "labs"
# What grading makes lives in one folder that git ignores.
c.CourseDirectory.submitted_directory = "graded/submitted"
c.CourseDirectory.autograded_directory = "graded/autograded"
c.CourseDirectory.feedback_directory = "graded/feedback"
c.CourseDirectory.db_url = f"sqlite:///{(course / 'graded' / 'gradebook.db').as_posix()}"

c.ClearSolutions.code_stub = {
    "python": 'raise NotImplementedError("write your answer here, then delete this line")'
}
c.ClearSolutions.text_stub = "*Write your answer here, in place of this line.*"

# nbgrader gives zero points to a test cell that wrote anything to stderr: a library's deprecation warning or
# a progress bar would cost an honest learner the exercise. Errors still count: they are not part of stderr.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = r"[\s\S]"

c.Execute.timeout = 120  # seconds a cell; nbgrader's 30 are short for a slow laptop that trains a probe
# Without this each kernel warns on the screen that it talks over TCP (it does so to this machine only).
c.Execute.extra_arguments = ["--log-level=ERROR"]
