"""What a module costs: parameters and multiply-adds."""

from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module) -> int:
    """How many numbers training adjusts. Buffers, such as batch norm's running mean, do not count."""
    return sum(parameter.numel() for parameter in module.parameters())


def multiply_adds(module: nn.Module, *inputs: Any) -> int:
    """How many multiply-then-add steps one forward pass takes in convolutions and matrix products.

    One multiply-add is two floating-point operations. Batch norm, activations and pooling are left out, as is
    usual in papers. The module is run once in eval mode and gets its mode back.
    """
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            module(*inputs)
    finally:
        for part, training in modes.items():
            part.training = training
    return counter.get_total_flops() // 2
