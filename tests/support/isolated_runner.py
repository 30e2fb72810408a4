"""Runs labs as lab_runner.py does, but each answer on a learner's side of its own process."""

from pathlib import Path

import torch
from lab_runner import Answer, Lab
from nbformat import NotebookNode

from grading.isolation import sandbox
from grading.isolation.examiner import Examiner
from grading.isolation.notebook import defined
from grading.isolation.wire import Lost, Wire

LIMITS = sandbox.Limits()
MUTANTS = Path(__file__).resolve().parents[1] / "labs" / "mutants"
COLLECT = """
import sys, types

class Answers(list):
    def wrong(self, replaces, why):
        return lambda value: self.append(value) or value
    right = wrong

module = types.ModuleType("lab_runner")
module.Answers = Answers
sys.modules["lab_runner"] = module
answers_to_try = {"__name__": "mutants"}
exec(compile(SOURCE, "mutants", "exec"), answers_to_try)
"""


class IsolatedLab(Lab):
    """A lab whose answers run on a learner's side."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.mutants = (MUTANTS / f"{path.stem}.py").read_text(encoding="utf-8")
        self.examiner: Examiner | None = None

    def start(self) -> Examiner:
        if self.examiner is None:
            self.process, connection = sandbox.start(
                lambda number: sandbox.learner_command(None, number, LIMITS)
            )
            connection.settimeout(100)
            self.examiner = Examiner(Wire(connection), self._variables)
            self.check(self.examiner.run(f"SOURCE = {self.mutants!r}\n{COLLECT}", "mutants"))
        return self.examiner

    @staticmethod
    def check(ran: tuple) -> list[str]:
        if ran[1] is not None:
            raise RuntimeError(ran[1][2])
        return ran[2]

    def run_answer(self, cell: NotebookNode) -> None:
        examiner = self.start()
        torch.manual_seed(0)
        self.check(examiner.run(cell.source, "answer"))
        for name in defined(cell.source):
            self._variables[name] = examiner.fetch(name)

    def points(self, answer: Answer, place: int) -> float:  # type: ignore[override]
        """The points that an answer gets in its exercise; `place`: where it stands among the lab's answers."""
        exercise = next(e for e in self.exercises.values() if answer.replaces in e.names)
        assert self.solution_points
        self._variables.clear()
        self._variables.update(self._copy(exercise.start))
        default_type = torch.get_default_dtype()
        try:
            with torch.enable_grad():
                self.run_answer(exercise.answer)
                examiner = self.start()
                self.check(examiner.run(f"{answer.replaces} = answers_to_try['answers'][{place}]", "bind"))
                self._variables[answer.replaces] = examiner.fetch(answer.replaces)
                return sum(self._test(cell.source, cell) for cell in exercise.tests)
        except Lost:
            self.examiner = None
            self.process.kill()
            self.process.wait()
            del self.__dict__["solution_points"]  # its stand-ins are gone with the learner's side
            return 0
        finally:
            torch.set_default_dtype(default_type)
