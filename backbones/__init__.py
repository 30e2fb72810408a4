"""Helpers of the course "Backbones". Start reading at `backbone.py`: it holds the contract."""

import atexit
import gc
import os

import torch

from . import graphs, minilm, text, vision  # they register their backbones
from .audit import check_backbone
from .backbone import (
    Backbone,
    BackboneError,
    Features,
    Network,
    backbone_names,
    create_backbone,
    register,
)
from .deeplab import DeepLabV3, DeepLabV3Plus

__all__ = [
    "Backbone",
    "BackboneError",
    "DeepLabV3",
    "DeepLabV3Plus",
    "Features",
    "Network",
    "backbone_names",
    "check_backbone",
    "create_backbone",
    "graphs",
    "minilm",
    "register",
    "text",
    "vision",
]

# Binder and JupyterHub lend a share of a large machine. torch counts the machine's cores, starts a thread for
# each and then waits for itself; CPU_LIMIT says how many cores are ours.
if os.environ.get("CPU_LIMIT", "").replace(".", "", 1).isdigit():
    torch.set_num_threads(max(1, min(torch.get_num_threads(), int(float(os.environ["CPU_LIMIT"])))))

# torch and timm are 400,000 objects that stay for good. Without this Python looks through all of them for
# garbage while the next libraries load, 0.2 seconds of a lesson's first cell. (Unfrozen, lest a library that
# counts its objects at the end calls them leaked.)
gc.freeze()
atexit.register(gc.unfreeze)
