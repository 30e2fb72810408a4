"""Takes a network apart: what is swapped with the backbone, what stays, what shape and cost each part has."""

import copy
import html
from typing import NamedTuple

import torch
from torch import nn

from ..backbone import ByStride, Network
from ..show.palette import STAYS, SWAPPED
from . import cost


class Part(NamedTuple):
    """One part of a network.

    Attributes:
        name: what papers call it, such as "stem" or "ASPP 3x3, rate 6".
        swapped: it belongs to the backbone and goes with it; otherwise it stays.
        shape: of its result, (channels, height, width).
        parameters: how many numbers training adjusts.
        adapts: the parameters among those that stay whose number depends on the backbone's widths.
        multiply_adds: for one image; see `cost.multiply_adds`.
    """

    name: str
    swapped: bool
    shape: tuple[int, ...]
    parameters: int
    adapts: int
    multiply_adds: int


class Anatomy(list[Part]):
    """The parts in the order in which they run. Prints as a table; a notebook shows it in colour."""

    def total(self, swapped: bool | None = None) -> Part:
        """All parts as one; or only the swapped ones (True), or only those that stay (False)."""
        parts = [part for part in self if swapped in (None, part.swapped)]
        name = {None: "whole network", True: "backbone", False: "head"}[swapped]
        sums = (sum(getattr(part, field) for part in parts) for field in Part._fields[3:])
        return Part(name, bool(swapped), parts[-1].shape, *sums)

    def _rows(self) -> list[tuple[str, ...]]:
        rows = []
        for part in [*self, self.total(True), self.total(False), self.total()]:
            role = "" if part.name == "whole network" else "swapped" if part.swapped else "stays"
            millions = [f"{number / 1e6:.3f}" for number in (part.parameters, part.adapts)]
            shape = " x ".join(map(str, part.shape))
            rows.append((role, part.name, shape, *millions, f"{part.multiply_adds / 1e9:.2f}"))
        return [("", "part", "result", "params M", "adapting M", "mult-adds G"), *rows]

    def __repr__(self) -> str:
        return "\n".join("{:8}{:28}{:>16}{:>10}{:>12}{:>13}".format(*row) for row in self._rows())

    def _repr_html_(self) -> str:
        colours = {"swapped": SWAPPED, "stays": STAYS, "": "transparent"}
        head, *body = self._rows()
        lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
        for role, *cells in body:
            role_cell = f"<td style='border-left: 8px solid {colours[role]}'>{role}</td>"
            lines.append(
                f"<tr>{role_cell}" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"
            )
        return f"<table>{''.join(lines)}</table>"


def dissect(network: Network, parts: dict[str, str], wider_head: nn.Module, size: tuple[int, int]) -> Anatomy:
    """The anatomy of a network for one image; computed from shapes alone, without numbers.

    Args:
        network: with an image backbone. It is not touched.
        parts: dotted name of a submodule -> what papers call it, for all parts of the head that have costs.
        wider_head: the same head for a backbone whose maps are all wider, to see which parameters adapt.
        size: height and width of the image in pixels.
    """
    network = _on_meta(network)
    shapes: dict[str, tuple[int, ...]] = {}
    features = ByStride()
    network.backbone.register_forward_hook(lambda _, __, maps: features.update(maps))
    for name in parts:
        network.get_submodule(name).register_forward_hook(
            lambda _, __, result, name=name: shapes.update({name: tuple(result.shape[1:])})
        )
    # The ledger tells the backbone's stages apart; nothing of value runs outside of the parts.
    rows = cost.ledger(network, torch.empty(1, 3, *size, device="meta"), parts=["backbone", *parts])

    wider = {f"head.{name}": one.shape for name, one in wider_head.named_parameters()}
    adapting = {
        name: one.numel()
        for name, one in network.named_parameters()
        if wider.get(name, one.shape) != one.shape
    }
    anatomy = Anatomy()
    for row in rows:
        costs = (row.parameters, 0, row.multiply_adds)
        if row.part == "backbone":
            name = f"{'stem' if row.stride < 4 else 'stage'}, stride {row.stride:g}"
            anatomy.append(Part(name, True, tuple(features[int(row.stride)].shape[1:]), *costs))
        elif row.part in parts:
            adapts = sum(count for name, count in adapting.items() if name.startswith(f"{row.part}."))
            costs = (row.parameters, adapts, row.multiply_adds)
            anatomy.append(Part(parts[row.part], False, shapes[row.part], *costs))
    return anatomy


def _on_meta(network: Network) -> Network:
    """A copy that has shapes but no numbers, and takes no memory."""
    tensors = [*network.parameters(), *network.buffers()]
    return copy.deepcopy(network, {id(one): torch.empty_like(one, device="meta") for one in tensors})
