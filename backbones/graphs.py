"""Graph backbones: every node looks at its neighbors. Layer by layer it knows of nodes one step further away.

    backbone = create_backbone("gcn", in_features=64, width=32, layers=2)
    features = backbone(nodes, adjacency)              # nodes (N, 64), sparse (N, N) => {1: (N, 32)}
    PositionHead(backbone.channels, 10)(features)      # (N, 10): the head of pixels and tokens

A graph is its adjacency A, a sparse matrix: A[i, j] is the weight of the edge through which node i hears of
node j, 1 in most graphs. It is never made dense: 10,000 nodes would take 400 MB.
"""

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backbone import Backbone, BackboneError, ByStride, Features, register


class GraphError(BackboneError):
    """These nodes and this adjacency are no graph; the message says what to change."""


class GraphBackbone(Backbone):
    """A graph convolutional network: H' = ReLU(Â H W), layer after layer, Kipf & Welling (2017), eq. 2.

    Â averages over each node and its neighbors (`normalized_adjacency`), W is the same for all nodes.
    https://arxiv.org/abs/1609.02907. There the last layer scores classes; here that is the head's task.
    """

    def __init__(
        self, in_features: int, width: int = 64, layers: int = 2, dropout: float = 0.5, weights: None = None
    ):
        """
        Args:
            in_features: numbers per node that go in.
            width: numbers per node that come out, of every layer.
            layers: how many steps far a node sees.
            dropout: share of a layer's inputs that are left out while training.
            weights: None; a graph backbone has no trained ones.
        Raises:
            BackboneError: for numbers that make no sense, and for weights.
        """
        super().__init__()
        if weights is not None:
            raise BackboneError(
                f"weights={weights!r}: there are no trained ones for a gcn, leave weights out"
            )
        for what, number in {"in_features": in_features, "width": width, "layers": layers}.items():
            if number < 1:
                raise BackboneError(f"{what}={number}: a gcn needs at least 1")
        self.name, self.channels = "gcn", ByStride({1: width})
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.Linear(in_features if layer == 0 else width, width, bias=False) for layer in range(layers)
        )

    def forward(self, nodes: Tensor, adjacency: Tensor) -> Features:
        """Features of every node.

        Args:
            nodes: (N, in_features), float.
            adjacency: sparse (N, N) without self loops, COO or CSR; any type of numbers.
        Returns:
            {1: (N, width)}, size (N,).
        Raises:
            GraphError: naming all that is wrong with them.
        """
        width = self.layers[0].in_features
        if faults := check_graph(nodes, adjacency):
            raise GraphError("; ".join(faults))
        if nodes.shape[1] != width:
            raise GraphError(f"each node has {nodes.shape[1]} numbers, but this gcn has in_features={width}")
        averages = normalized_adjacency(adjacency.to(nodes.dtype))  # (N, N), sparse
        for layer in self.layers:
            # H' = ReLU(Â H W); H W first, it has fewer columns
            nodes = F.relu(torch.sparse.mm(averages, layer(self.dropout(nodes))))  # (N, width)
        return Features({1: nodes}, size=nodes.shape[:1])


def normalized_adjacency(adjacency: Tensor) -> Tensor:
    """Â = D^-1/2 (A + I) D^-1/2, with D the degrees of A + I; Kipf & Welling (2017), eq. 2.

    I makes every node its own neighbor. An edge between two nodes of many neighbors gets little weight.

    Args:
        adjacency: A, sparse (N, N), COO or CSR, without self loops, weights 0 or more.
    Returns:
        sparse COO (N, N), float; whole numbers become torch's default type.
    """
    adjacency = adjacency.to_sparse_coo().coalesce()
    itself = torch.arange(len(adjacency), device=adjacency.device).expand(2, -1)
    weights = adjacency.values()
    weights = weights if weights.is_floating_point() else weights.to(torch.get_default_dtype())
    # A + I
    edges = torch.cat([adjacency.indices(), itself], dim=1)  # (2, E + N)
    weights = torch.cat([weights, weights.new_ones(len(adjacency))])  # (E + N,)
    # D_ii = sum over j of (A + I)_ij
    degrees = weights.new_zeros(len(adjacency)).index_add(0, edges[0], weights)  # (N,)
    # D^-1/2 (A + I) D^-1/2
    weights = degrees.rsqrt()[edges[0]] * weights * degrees.rsqrt()[edges[1]]
    return torch.sparse_coo_tensor(edges, weights, adjacency.shape, check_invariants=False).coalesce()


def check_graph(nodes: Any, adjacency: Any) -> list[str]:
    """Say in sentences what is wrong with a graph; nothing said, nothing wrong.

    Directed graphs are graphs: where A is not symmetric, a node hears of those in its row only.

    Args:
        nodes: should be (N, F), float.
        adjacency: should be sparse, (N, N), with indices below N, no self loops, weights 0 or more.
    Returns:
        One sentence for each fault.
    """
    return [*_node_faults(nodes), *_adjacency_faults(nodes, adjacency)]


def _node_faults(nodes: Any) -> Iterator[str]:
    if not isinstance(nodes, Tensor):
        yield f"nodes are {type(nodes).__name__}, not a tensor: torch.as_tensor makes one"
    elif nodes.ndim != 2 or nodes.layout is not torch.strided:
        yield f"nodes have shape {tuple(nodes.shape)} ({nodes.layout}): pass a dense (N, F), a row per node"
    elif not nodes.is_floating_point():
        yield f"nodes are {nodes.dtype}: pass float numbers, nodes.float()"


def _adjacency_faults(nodes: Any, adjacency: Any) -> Iterator[str]:
    if not isinstance(adjacency, Tensor):
        yield f"adjacency is {type(adjacency).__name__}, not a tensor: pass a sparse tensor (N, N)"
        return
    if adjacency.layout not in (torch.sparse_coo, torch.sparse_csr):
        yield f"adjacency is not sparse ({adjacency.layout}): adjacency.to_sparse() makes it so"
        return
    shape = tuple(adjacency.shape)
    if len(shape) != 2 or shape[0] != shape[1]:
        yield f"adjacency has shape {shape}: it has a row and a column per node, (N, N)"
        return
    if isinstance(nodes, Tensor) and nodes.ndim == 2 and len(nodes) != shape[0]:
        yield f"adjacency is for {shape[0]} nodes, but there are {len(nodes)}: both have to be the same N"
    if adjacency.layout is torch.sparse_csr:  # as rows and columns, without reading what may be out of range
        starts, columns, weights = adjacency.crow_indices(), adjacency.col_indices(), adjacency.values()
        counts = starts.diff()
        if starts[0] != 0 or (counts < 0).any() or starts[-1] != len(columns):
            yield "adjacency's crow_indices do not rise from 0 to the number of edges"
            return
        rows = torch.arange(shape[0], device=columns.device).repeat_interleave(counts)
    else:
        (rows, columns), weights = adjacency._indices(), adjacency._values()
    outside = (rows < 0) | (rows >= shape[0]) | (columns < 0) | (columns >= shape[0])
    if outside.any():
        row, column = (int(ends[outside][0]) for ends in (rows, columns))
        yield f"adjacency has an edge ({row}, {column}), but nodes are numbered 0 to {shape[0] - 1}"
    loops = rows[rows == columns]
    if len(loops):
        yield (
            f"adjacency has self loops (node {int(loops[0])}): leave them out, each node becomes its own "
            "neighbor anyway and would count twice"
        )
    if weights.is_complex() or not (weights.isfinite() & (weights >= 0)).all():
        yield "adjacency has weights that are negative or not finite: their roots do not exist"


register("gcn", GraphBackbone)
