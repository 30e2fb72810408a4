"""For instructors: from what students handed in to points, feedback pages and a CSV.

    python -m grading --help

labs.py      which labs there are
content.py   what a file is, by its first bytes, and the sentence for what is no notebook
unpack.py    the entries of a folder or zip, read without trust
collect.py   whose notebook is whose, from the file names that learning management systems give
repair.py    is it this lab's notebook, and is every graded cell in it once?
convert.py   nbgrader's steps, set up and run
feedback.py  nbgrader's step that makes the pages, in less time
isolation/   the two sides on which notebooks run: answers on one, tests on the other
canary.py    before anybody, the lab's own solution and the empty lab
grade.py     notebooks on the two sides, several at a time; nbgrader marks them; who is done stays done
cluster.py   notebooks on the workers of a Dask cluster
progress.py  a line for each student, and a bar
late.py      who is how late, and what that costs
export.py    the points in the files that Canvas and Moodle exported
terminal.py  printing that cannot end a run
report.py    the CSV, the page for a student whose notebook has a problem, the summary
statistics.py  how the class did in each exercise: a table and a page with a chart
similar.py   answers that are nearly the same, for a person to look at
kinds.py     what the hidden checks of labs ask for: one helper for each kind of slip
"""
