"""For instructors: from a folder of handed-in notebooks to points, feedback pages and a CSV.

    python -m grading lab01 folder-of-submissions

collect.py   whose notebook is whose, from the file names that learning management systems give
check.py     is it this lab's notebook, and is every graded cell in it once?
grade.py     nbgrader grades one student after the other
report.py    the CSV, the page for a student whose notebook has a problem, the summary
course.py    which labs there are; how nbgrader is set up
"""
