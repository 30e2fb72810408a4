"""Grading in two processes: the learner's code in one, tests and the objects they compare in the other.

notebook.py    which cell runs on which side, and what the sides said as a notebook's outputs
run.py         from the instructor's process: a warm tests' side, a notebook, its outcomes
sandbox.py     bubblewrap around both sides, limits
tests_side.py  runs the lab's own cells and the tests; a fork for each notebook
examiner.py    its real objects, and stand-ins for the learner's
gate.py        what the learner's side may ask of these objects
learner.py     runs the learner's cells; its torch and numpy are questions to the other side
kernel.py      what the kernel of the system refuses to a side: programs, processes, sockets
wire.py        the messages
container.py   the command that grades in a container, on macOS and Windows
"""
