"""nbgrader on the hub: where labs are handed out and handed in. For learners and instructors alike.

What else instructors need stands in the course's own nbgrader_config.py, in the folder where they grade.
"""

from pathlib import Path

c = get_config()  # noqa: F821  (nbgrader puts it into this file's namespace)

c.CourseDirectory.course_id = "backbones"
c.Exchange.root = str(Path(__file__).resolve().parent.parent / "exchange")
# Beside the lessons, whose links and progress page look there.
c.Exchange.assignment_dir = str(Path("~/backbones/labs").expanduser())
