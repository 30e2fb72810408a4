"""Helpers of the course "Backbones". Start reading at `backbone.py`: it holds the contract."""

import os

import torch

from . import vision  # registers timm's models
from .backbone import (
    Backbone,
    BackboneError,
    Features,
    Network,
    backbone_names,
    check_backbone,
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
    "register",
    "vision",
]

# Binder and JupyterHub lend a share of a large machine. torch counts the machine's cores, starts a thread for
# each and then waits for itself; CPU_LIMIT says how many cores are ours.
if os.environ.get("CPU_LIMIT", "").replace(".", "", 1).isdigit():
    torch.set_num_threads(max(1, min(torch.get_num_threads(), int(float(os.environ["CPU_LIMIT"])))))
