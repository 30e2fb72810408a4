"""The finished models: whole, small, as good as they say, and made by a command that works."""

import os
import shutil
import tomllib
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from authoring import train
from backbones import DeepLabV3Plus, Network, create_backbone, weights
from backbones.backbone import Backbone
from backbones.data import Scenes
from backbones.heads import ClassificationHead, Detector, SegmentationHead
from backbones.tasks import Detection, MultiLabelClassification, Segmentation, Task, evaluate
from backbones.weights import (
    CHECKPOINTS,
    TRAINED,
    WeightsDamagedError,
    WeightsMismatchError,
    WeightsMissingError,
    load_trained,
    trained_facts,
)

ROOT = Path(__file__).parents[2]
BUILDERS = {
    "create_backbone": create_backbone,
    "DeepLabV3Plus": DeepLabV3Plus,
    "Network": Network,
    "ClassificationHead": ClassificationHead,
    "Detector": Detector,
    "SegmentationHead": SegmentationHead,
}
SHARING = [name for name, files in TRAINED.items() if train.SHARED in files]
SMALL_HEAD = "scenes_presence"  # the quickest to build and to damage


def as_told(name: str) -> nn.Module:
    """The network, written as the file itself says."""
    facts = trained_facts(name)
    backbone = eval(facts["backbone"], dict(BUILDERS))
    return eval(facts["network"], BUILDERS | {"backbone": backbone})


def task_on(network: nn.Module) -> Task:
    """The task that measures a network."""
    if isinstance(network, Detector):
        return Detection(network)
    if isinstance(network.head, ClassificationHead):
        return MultiLabelClassification(network, 6)
    return Segmentation(network, 7)


@pytest.fixture(scope="module")
def networks() -> dict[str, nn.Module]:
    return {name: load_trained(as_told(name), name) for name in TRAINED}


# What lies in the folder


def test_each_model_has_a_recipe_and_each_file_a_model():
    assert list(train.RECIPES) == list(TRAINED)
    needed = {file for files in TRAINED.values() for file in files}
    assert {path.name for path in CHECKPOINTS.iterdir()} == needed


def test_three_models_that_share_a_backbone_take_ten_megabytes_at_most():
    assert set(SHARING) == {"scenes_segmentation", "scenes_detection", "scenes_presence"}
    files = {file for name in SHARING for file in TRAINED[name]}
    assert len(files) == 4
    assert sum((CHECKPOINTS / file).stat().st_size for file in files) <= 10e6


def test_they_are_installed_with_the_package():
    """As pip reads it: each file matches a pattern of package-data."""
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    for path in CHECKPOINTS.iterdir():
        assert any(path.relative_to(ROOT / "backbones").match(p) for p in patterns["backbones"]), path.name
        assert os.name == "nt" or path.stat().st_mode & 0o044 == 0o044, f"not everybody may read {path.name}"


@pytest.mark.parametrize("name", TRAINED)
def test_a_file_says_what_it_is(name):
    facts = trained_facts(name)
    recipe = train.RECIPES[name]
    assert facts["network"] == recipe.network
    assert facts["command"] == f"python -m authoring.train {name}"
    assert facts["data"].startswith(f"Scenes(count={recipe.scenes}, seed=0), 96 pixels")
    assert facts["score"].startswith(recipe.score)
    assert facts["score"].endswith("on 400 test scenes")


# What is in the files


@pytest.mark.parametrize(
    ("name", "bar"),
    [
        ("scenes_segmentation", 0.6),
        ("scenes_detection", 0.65),
        ("scenes_presence", 0.85),
        ("scenes_deeplab", 0.85),
    ],
)
@pytest.mark.slow
def test_each_model_is_as_good_as_it_says(networks, name, bar):
    """On a part of the test scenes, where the score may be a little off what all of them give."""
    network = networks[name]
    scenes = Scenes(test_count=100, mean=network.backbone.mean, std=network.backbone.std)
    score = evaluate(task_on(network), scenes)[train.RECIPES[name].metric]
    assert score >= bar
    said = float(trained_facts(name)["score"].removeprefix(train.RECIPES[name].score).split()[0])
    assert score == pytest.approx(said, abs=0.05)


def test_one_backbone_serves_three_tasks_to_the_last_bit(networks):
    first, *others = (networks[name].backbone.state_dict() for name in SHARING)
    for other in others:
        assert first.keys() == other.keys()
        assert all(torch.equal(first[key], other[key]) for key in first)
    imagenet = create_backbone(train.BACKBONE, weights="imagenet").state_dict()
    assert not any(torch.equal(first[k], imagenet[k]) for k in first if k.endswith(("weight", "mean")))


def test_the_shared_file_is_a_weight_file_like_any_other(networks):
    backbone = create_backbone(train.BACKBONE, weights=CHECKPOINTS / train.SHARED, output_stride=16)
    state = networks[SMALL_HEAD].backbone.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in backbone.state_dict().items())


def test_a_finished_model_is_ready_to_use(networks):
    for network in networks.values():
        assert not any(part.training for part in network.modules())
        assert {p.dtype for p in network.parameters()} == {torch.float32}, "16 bits are for the disk"
        assert all(value.isfinite().all() for value in network.state_dict().values())


def test_load_trained_gives_back_the_network_it_filled():
    network = as_told(SMALL_HEAD).train()
    before = network.head.classifier.weight.clone()
    assert load_trained(network, SMALL_HEAD) is network
    assert not torch.equal(network.head.classifier.weight, before)


# When something is wrong


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A copy of the checkpoints to be damaged, which the package takes for its own."""
    copy = shutil.copytree(CHECKPOINTS, tmp_path / "checkpoints")
    monkeypatch.setattr(weights, "CHECKPOINTS", copy)
    return copy


def complaint(error: type[Exception], network: nn.Module | None = None) -> str:
    """What load_trained says; the network, filled or not, is as it was."""
    network = network or torch.nn.Identity()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(error) as raised:
        load_trained(network, SMALL_HEAD)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    return str(raised.value)


def test_an_unknown_name_lists_the_known_ones():
    for ask in (trained_facts, lambda name: load_trained(nn.Identity(), name)):
        with pytest.raises(WeightsMissingError, match=f"called 'scenes'; there are {', '.join(TRAINED)}"):
            ask("scenes")


@pytest.mark.parametrize("file", TRAINED[SMALL_HEAD])
@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:100], lambda b: b"", lambda b: b[::-1]])
def test_a_damaged_file_is_refused_and_the_error_says_how_to_get_it_back(folder, file, damage):
    (folder / file).write_bytes(damage((folder / file).read_bytes()))
    said = complaint(WeightsDamagedError)
    assert said.startswith(f"{file} could not be read as weights (")
    assert "it may be cut short" in said
    assert f"train the model with 'python -m authoring.train {SMALL_HEAD}'" in said


@pytest.mark.parametrize("file", TRAINED[SMALL_HEAD])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    said = complaint(WeightsMissingError)
    assert said.startswith(f"{file} is not there, which the finished model '{SMALL_HEAD}' needs. Install the")
    assert f"'python -m authoring.train {SMALL_HEAD}'" in said


def test_a_head_of_another_backbone_is_refused(folder):
    """The backbone was trained again, and is sound; the head was not."""
    path = folder / train.SHARED
    state = safetensors.torch.load_file(path)
    train.write(path, {key: value * 2 for key, value in state.items()}, {})
    said = complaint(WeightsMismatchError)
    assert said.startswith(f"{train.SHARED} has been trained again since {TRAINED[SMALL_HEAD][-1]} was")
    assert f"'python -m authoring.train {SMALL_HEAD}'" in said


def networks_that_do_not_fit() -> list[tuple[nn.Module, str]]:
    def presence(backbone: Backbone, classes: int) -> Network:
        return Network(backbone, ClassificationHead(backbone.channels, classes))

    return [
        (presence(create_backbone("tf_efficientnet_lite0"), 5), "has shape (6, 320) instead of (5, 320)"),
        (presence(create_backbone("test_efficientnet"), 6), "and "),
        (Detector(create_backbone("tf_efficientnet_lite0"), 7), "is missing"),
    ]


def test_a_network_that_does_not_fit_is_told_how_to_be():
    for network, reason in networks_that_do_not_fit():
        said = complaint(WeightsMismatchError, network)
        assert said.startswith(f"these weights do not fit '{SMALL_HEAD}': ")
        assert reason in said
        assert said.endswith(f"The network has to be {train.RECIPES[SMALL_HEAD].network}.")


# The command


@pytest.mark.slow
def test_the_command_makes_models_that_load(tmp_path, monkeypatch, capsys):
    """All of them, on two batches each."""
    for name in TRAINED:
        facts = train.train(name, scenes=32, test_scenes=4, folder=tmp_path)
        monkeypatch.setattr(weights, "CHECKPOINTS", tmp_path)
        assert trained_facts(name).items() >= facts.items()
        assert facts["data"].startswith("Scenes(count=32, seed=0)")
        network = load_trained(as_told(name), name)
        scenes = Scenes(test_count=4, mean=network.backbone.mean, std=network.backbone.std)
        recipe = train.RECIPES[name]
        score = evaluate(task_on(network), scenes)[recipe.metric]
        assert facts["score"] == f"{recipe.score} {score:.3f} on 4 test scenes", (
            "the score of what was written"
        )
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in CHECKPOINTS.iterdir()}
    ours, theirs = (load_trained(as_told(name), name).backbone.state_dict() for name in SHARING[1:])
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_head_cannot_be_trained_before_its_backbone(tmp_path, capsys):
    assert train.main([SMALL_HEAD, "--folder", str(tmp_path / "empty")]) == 1
    assert f"it comes from 'python -m authoring.train {SHARING[0]}'" in capsys.readouterr().err


def test_the_command_without_a_name_lists_what_there_is(capsys):
    assert train.main([]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(TRAINED)


def test_the_command_tells_score_and_seconds_and_what_to_do_next(monkeypatch, capsys):
    monkeypatch.setattr(train, "train", lambda *_, **__: {"score": "macro F1 0.900 on 400 test scenes"})
    assert train.main([SHARING[0]]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{SHARING[0]}: macro F1 0.900 on 400 test scenes, 0 s")
    assert second.endswith(f"train again what stands on it: {', '.join(SHARING[1:])}")
    assert train.main([SMALL_HEAD]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
