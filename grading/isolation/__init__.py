"""Grading in two processes: the learner's code in one, tests and the objects they compare in the other."""
