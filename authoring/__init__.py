"""Tools of those who change the course.

notebooks.py         which lessons and labs there are
execute.py           run them, and save their outputs in place
check.py             what a notebook must be before it is committed
order.py             whether a lab's tests compute what they expect before the answer runs
release.py           the learners' labs/ from solutions/
train.py             the finished models in backbones/checkpoints/
measure_deeplab.py   what lesson 05 shows of models that take too long to train in it
pictures.py          the picture in the README
browser.py           JupyterLab in a real browser, for tests and for `bench start`
offline/             processes that cannot reach the network
"""
