"""Which module may import which, and what importing the package costs."""

import ast
import graphlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def modules(package: Path) -> dict[str, Path]:
    """Dotted name -> file, of every module below a package's folder."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def imports(name: str, path: Path) -> set[str]:
    """All that a module imports, at its top or inside functions, as absolute dotted names.

    `from a import b` counts as both "a" and "a.b": b may be a module.
    """
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join(above + ([node.module] if node.module else []))
            found |= {source} | {f"{source}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def violations(package: Path, importers: tuple[str, ...], forbidden: tuple[str, ...]) -> list[str]:
    """Every "module imports other" where module is one of importers and other is forbidden to it."""
    return [
        f"{name} imports {other}"
        for name, path in modules(package).items()
        if any(within(name, importer) for importer in importers)
        for other in sorted(imports(name, path))
        if any(within(other, one) for one in forbidden)
    ]


def import_order(package: Path) -> list[str]:
    """The modules of a package, each after those it imports. Raises graphlib.CycleError."""
    files = modules(package)
    graph = {name: (imports(name, path) & files.keys()) - {name} for name, path in files.items()}
    for name in graph:  # `from .backbone import x` does not need what the package itself re-exports
        graph[name] -= {parent for parent in files if within(name, parent)}
    return list(graphlib.TopologicalSorter(graph).static_order())


def rooms(*names: str) -> tuple[str, ...]:
    return tuple(f"backbones.{name}" for name in names)


NETWORKS = rooms("vision", "text", "minilm", "graphs", "weights", "trial", "deeplab", "heads")
RULES = [
    (("backbones",), ("grading", "authoring", "tests", "benchmarks", "segmentation_models_pytorch")),
    (rooms("data", "measure", "show"), rooms("tasks", "training")),
    (
        rooms("data", "show", "training"),
        (*NETWORKS, *rooms("backbone", "measure")),
    ),  # these stand on the ground
    (rooms("measure"), (*NETWORKS, *rooms("data"))),  # needs the contract only
    (rooms("backbone"), (*NETWORKS, *rooms("tasks", "data"))),
    (rooms("audit"), (*NETWORKS, *rooms("tasks", "data", "show"))),
    (rooms("training"), rooms("tasks", "data", "show")),
]


@pytest.mark.parametrize(("importers", "forbidden"), RULES)
def test_imports_go_one_way(importers, forbidden):
    assert violations(ROOT / "backbones", importers, forbidden) == []


def test_no_module_needs_itself():
    order = import_order(ROOT / "backbones")
    assert order.index("backbones.backbone") < order.index("backbones.vision") < order.index("backbones")


@pytest.fixture
def toy(tmp_path):
    """Writes a package; keys are files, values their text."""

    def write(**files: str) -> Path:
        for name, text in {"__init__": "", **files}.items():
            path = tmp_path / "backbones" / f"{name.replace('__', '/') if name != '__init__' else name}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path / "backbones"

    return write


@pytest.mark.parametrize(
    "text",
    [
        "import grading.collect",
        "from grading import collect",
        "def late():\n    from grading.collect import x",
        "if True:\n    import os, grading as g",
    ],
)
def test_the_rule_sees_every_way_to_import(toy, text):
    assert violations(toy(cost=text), *RULES[0])
    assert not violations(toy(cost="import gradings"), *RULES[0])


@pytest.mark.parametrize(
    "text",
    [
        "from .. import tasks",
        "from ..tasks import fit",
        "import backbones.tasks",
        "from backbones import tasks",
    ],
)
def test_the_rule_sees_relative_imports(toy, text):
    assert violations(toy(data__toy=text), *RULES[1])
    assert not violations(toy(vision=text, data__toy=""), *RULES[1])


def test_a_cycle_would_be_found(toy):
    with pytest.raises(graphlib.CycleError):
        import_order(toy(a="from . import b", b="from .c import x", c="def late():\n    import backbones.a"))
    order = import_order(toy(a="from . import b", b="from .c import x", c=""))
    assert order.index("backbones.c") < order.index("backbones.b") < order.index("backbones.a")


HEAVY = {"pytorch_lightning", "torchmetrics", "sklearn", "skimage", "scipy"}
DRAWING = {"matplotlib", "IPython", "ipywidgets"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "forbidden"),
    [
        ("import backbones.measure.cost, backbones.heads", HEAVY | DRAWING),
        ("from backbones import Network, cost, create_backbone, plots", HEAVY),
        ("from backbones.data import Photos", HEAVY | DRAWING),
        ("from backbones.explore import Quiz", HEAVY),
    ],
)
def test_who_does_not_train_waits_for_no_training_library(program, forbidden):
    """Lightning, scikit-learn and matplotlib take seconds: whoever needs no training or data does not wait.

    The process is cut off from the network, as all that tests start (see conftest.py).
    """
    program = f"import sys, json\n{program}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert {"timm", "torch", "sitecustomize"} <= loaded
    assert loaded.isdisjoint(forbidden)
    assert done.stderr == ""


def test_names_that_lessons_import_are_the_rooms_themselves():
    from backbones import cost, explore, plots
    from backbones.data import Scenes
    from backbones.measure import cost as measured
    from backbones.show import plots as shown
    from backbones.show import quiz
    from backbones.tasks import evaluate, fit
    from backbones.training import evaluate as evaluating
    from backbones.training import fit as fitting

    assert (cost, plots, explore) == (measured, shown, quiz)
    assert (fit, evaluate) == (fitting, evaluating)
    assert Scenes.__module__ == "backbones.data.scenes"
