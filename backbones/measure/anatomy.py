"""Takes a network apart: what is swapped with the backbone, what stays, what shape and cost each part has."""

import html
from typing import Any, NamedTuple

import torch
from torch import nn

from ..backbone import Network
from ..show.palette import STAYS, SWAPPED
from . import cost
from .receptive import tensors


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


def dissect(
    network: Network,
    parts: dict[str, str] | None = None,
    wider_head: nn.Module | None = None,
    size: tuple[int, int] = (513, 513),
) -> Anatomy:
    """The anatomy of a network for one image; computed from shapes alone, without numbers.

    Args:
        network: with an image backbone. It is not touched.
        parts: dotted name of a submodule -> what papers call it, for all parts of the head that have costs;
            by default those that `network.head.parts()` names, or the head as one part.
        wider_head: the same head for a backbone whose maps are all wider, to see which parameters adapt.
            Without it none are marked.
        size: height and width of the image in pixels.

    Returns:
        One part for each stage of the backbone and for each of `parts`, in the order in which they run.
    """
    if parts is None:
        names = network.head.parts() if hasattr(network.head, "parts") else {}
        parts = {f"head.{name}": title for name, title in names.items()} or {"head": "head"}
    parts = {"backbone": "backbone, no map at one stride", **parts}
    results: dict[str, Any] = {}
    hooks = []
    for name in parts:
        part = network.get_submodule(name)
        hooks.append(part.register_forward_hook(lambda _, __, out, name=name: results.update({name: out})))
    try:
        # The ledger copies the network, hooks included, and tells the backbone's stages apart.
        image = torch.zeros(1, 3, *size, device=next(network.parameters()).device)
        rows = cost.ledger(network, image, parts=list(parts))
    finally:
        for hook in hooks:
            hook.remove()

    wider = {f"head.{name}": one.shape for name, one in wider_head.named_parameters()} if wider_head else {}
    adapting = {
        name: parameter.numel()
        for name, parameter in network.named_parameters()
        if wider.get(name, parameter.shape) != parameter.shape
    }
    anatomy = Anatomy()
    for row in rows:
        if row.part not in results:  # nothing of value runs elsewhere
            continue
        name, result = parts[row.part], results[row.part]
        if isinstance(result, dict) and row.stride in result:
            name = f"{'stem' if row.stride < 4 else 'stage'}, stride {row.stride}"
            result = result[row.stride]
        shape = tuple(tensors(result)[-1].shape[1:])
        adapts = sum(count for key, count in adapting.items() if key.startswith(f"{row.part}."))
        anatomy.append(Part(name, row.part == "backbone", shape, row.parameters, adapts, row.multiply_adds))
    return anatomy
