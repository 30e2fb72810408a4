"""Helpers of the course "Backbones". Start reading at `backbone.py`: it holds the contract."""

from . import vision  # registers timm's models
from .backbone import Backbone, BackboneError, Network, backbone_names, create_backbone, register

__all__ = ["Backbone", "BackboneError", "Network", "backbone_names", "create_backbone", "register", "vision"]
