"""nbval overlooks what differs from machine to machine, and nothing else."""

import re

import pytest
from nbval.plugin import get_sanitize_patterns

from authoring import execute

RULES = execute.SANITIZE_FILE.read_text(encoding="ascii")  # nbval reads it in the machine's own encoding

OVERLOOKED = {
    "approximately": [
        ("accuracy ≈ 0.93, loss ≈ 0.21", "accuracy ≈ 0.91, loss ≈ 0.2"),
        ("≈ 1.2e-05 apart", "≈ 0.9e-05 apart"),
        ("gain ≈ -0.4 points.", "gain ≈ 0.1 points."),
        ("≈ 1,204 images", "≈ 998 images"),
        ("≈  9 ms", "≈ 11 ms"),
    ],
    "rate": [("at 12.5 images/s", "at 9 images/s"), ("48.01it/s", "3it/s"), ("2 s/it", "1.25s/it")],
    "took": [
        ("took 1.5 s", "took 12 s"),
        ("Took 3ms", "Took 14ms"),
        ("Wall time: 81.2 μs", "Wall time: 9 μs"),
    ],
    "address": [("<function f at 0x7f2b3c4d5e6f>", "<function f at 0x7fffa01b2c3d>")],
    "explorer": [
        (
            "interactive(children=(IntSlider(value=2, description='k', max=5, min=1), Output()), _dom_c",
            "interactive(children=(IntSlider(value=3, description='k', max=5, min=1), Output()), _dom_c",
        )
    ],
    "progress-bar": [
        (
            "fit:   0%|          | 0/30 [00:00<?, ?it/s]",
            "fit: 100%|██████████| 30/30 [00:02<00:00, 14.1it/s]",
        ),
        ("  0%|          | 0/3 [00:00<?, ?it/s]", " 33%|███▎      | 1/3 [00:01<00:02,  1.0s/it, loss=0.4]"),
    ],
}
COMPARED = [
    ("torch.Size([2, 8, 16, 16])", "torch.Size([2, 8, 16, 15])"),
    ("3,370,000 parameters", "3,371,000 parameters"),
    ("2.74 G multiply-adds", "2.75 G multiply-adds"),
    ("accuracy 0.93", "accuracy 0.92"),  # without the sign it counts
    ("accuracy ≈ 0.93 of 360", "accuracy ≈ 0.93 of 359"),  # only the number right after the sign is let off
    ("loss ≈ 0.93", "score ≈ 0.93"),
    ("≈ 0.93", "≈ nan"),
    ("≈ 0.93", "0.93"),
    ("stride 0x20", "stride 0x10"),
    ("in 3 s", "in 4 s"),
    ("fit:   0%|          | 0/30 [00:00<?, ?it/s]", "fit:   0%|          | 0/31 [00:00<?, ?it/s]"),
    ("fit:   0%|          | 0/30 [00:00<?, ?it/s]", "test:   0%|          | 0/30 [00:00<?, ?it/s]"),
    ("50% of 3", "60% of 3"),
]


def as_nbval_compares(text: str) -> str:
    for pattern, replacement in get_sanitize_patterns(RULES):
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(
    ("rule", "one", "other"), [(rule, *pair) for rule in OVERLOOKED for pair in OVERLOOKED[rule]]
)
def test_differences_that_are_overlooked(rule: str, one: str, other: str) -> None:
    assert as_nbval_compares(one) == as_nbval_compares(other)
    assert execute.sanitize(one, only=rule) != one, f"it was not the rule {rule}"


@pytest.mark.parametrize(("one", "other"), COMPARED)
def test_differences_that_count(one: str, other: str) -> None:
    assert as_nbval_compares(one) != as_nbval_compares(other)


def test_every_rule_has_an_example_and_nbval_reads_them_all() -> None:
    names = [name for name, _pattern, _replacement in execute.SANITIZE_RULE.findall(RULES)]
    assert sorted(names) == sorted(OVERLOOKED)
    assert len(get_sanitize_patterns(RULES)) == len(names)


@pytest.mark.parametrize("text", [pair[0] for pairs in OVERLOOKED.values() for pair in pairs])
def test_execute_and_nbval_agree(text: str) -> None:
    """`authoring.execute` writes a bar as nbval will compare it, and comparing changes it no further."""
    assert execute.sanitize(text) == as_nbval_compares(text) == as_nbval_compares(as_nbval_compares(text))
