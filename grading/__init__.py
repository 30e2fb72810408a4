"""For instructors: from a folder of handed-in notebooks to points, feedback pages and a CSV.

    python -m grading lab01 folder-of-submissions

labs.py      which labs there are
collect.py   whose notebook is whose, from the file names that learning management systems give
repair.py    is it this lab's notebook, and is every graded cell in it once?
convert.py   nbgrader's steps, set up and run
grade.py     one student after the other, and the points
report.py    the CSV, the page for a student whose notebook has a problem, the summary
kinds.py     what the hidden checks of labs ask for: one helper for each kind of slip
"""
