"""Graph backbones: against numbers worked out by hand and by dense matrices, and what they refuse."""

import warnings

import pytest
import torch
import torch.nn.functional as F

from backbones import Network, check_backbone, cost, create_backbone
from backbones.backbone import BackboneError
from backbones.graphs import GraphError, check_graph, normalized_adjacency
from backbones.heads import PositionHead

pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")

# 0 - 1 - 2, and 3 alone
DENSE = torch.tensor([[0.0, 1, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
A = DENSE.to_sparse()
NODES = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
NO_EDGES = torch.zeros(4, 4).to_sparse()


def gcn(**options):
    torch.manual_seed(0)
    return create_backbone("gcn", in_features=5, width=6, **options).eval()


def edges(*pairs, size=4, weight=1.0):
    return torch.sparse_coo_tensor(
        torch.tensor(pairs).T, torch.full((len(pairs),), weight), (size, size), check_invariants=False
    )


def test_normalized_adjacency_by_hand():
    """Degrees of A + I are 2, 3, 2, 1: the edge 0 - 1 weighs 1 / sqrt(2 * 3)."""
    edge = 6**-0.5
    expected = [[1 / 2, edge, 0, 0], [edge, 1 / 3, edge, 0], [0, edge, 1 / 2, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(normalized_adjacency(A).to_dense(), torch.tensor(expected))


@pytest.mark.parametrize(
    "same",
    [
        DENSE.to_sparse_csr(),
        DENSE.long().to_sparse(),
        DENSE.bool().to_sparse(),
        DENSE.to(torch.int32).to_sparse_csr(),
        edges((1, 2), (0, 1), (2, 1), (1, 0)),  # in another order, not coalesced
        A.double(),
    ],
)
def test_the_same_graph_stored_differently(same):
    before = same.to_dense().clone()
    averages = normalized_adjacency(same)
    torch.testing.assert_close(averages.to_dense().float(), normalized_adjacency(A).to_dense())
    assert averages.dtype == (torch.float64 if same.dtype == torch.float64 else torch.float32)
    backbone = gcn()
    torch.testing.assert_close(backbone(NODES, same)[1], backbone(NODES, A)[1])
    assert torch.equal(same.to_dense(), before)


def test_weights_of_edges_count():
    """Of an edge of weight 3 and degrees 4 and 4 remains 3 / 4."""
    expected = torch.tensor([[1 / 4, 3 / 4], [3 / 4, 1 / 4]])
    torch.testing.assert_close(
        normalized_adjacency(edges((0, 1), (1, 0), size=2, weight=3.0)).to_dense(), expected
    )


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_features_by_dense_matrices(layers):
    backbone = gcn(layers=layers)
    hidden, averages = NODES, normalized_adjacency(A).to_dense()
    for layer in backbone.layers:
        hidden = F.relu(averages @ hidden @ layer.weight.T)
    features = backbone(NODES, A)
    torch.testing.assert_close(features[1], hidden)
    assert features.size == (4,)


def test_a_node_sees_as_many_steps_as_there_are_layers():
    changed = NODES.clone()
    changed[0] += 1
    for layers, seen_by in ((1, [0, 1]), (2, [0, 1, 2])):
        backbone = gcn(layers=layers)
        differs = (backbone(NODES, A)[1] != backbone(changed, A)[1]).any(dim=1)
        assert differs.nonzero().flatten().tolist() == seen_by


def test_without_edges_each_node_is_alone():
    backbone = gcn()
    alone = F.relu(F.relu(NODES @ backbone.layers[0].weight.T) @ backbone.layers[1].weight.T)
    torch.testing.assert_close(backbone(NODES, NO_EDGES)[1], alone)
    torch.testing.assert_close(backbone(NODES, A)[1][3], alone[3])  # the isolated node


def test_other_numbers_for_the_nodes_move_the_rows_and_nothing_else():
    order = torch.tensor([2, 0, 3, 1])
    backbone = gcn()
    moved = backbone(NODES[order], DENSE[order][:, order].to_sparse())[1]
    torch.testing.assert_close(moved, backbone(NODES, A)[1][order])


def test_in_a_directed_graph_a_node_hears_of_its_row():
    backbone, changed = gcn(layers=1), NODES.clone()
    changed[1] += 1
    one_way = edges((0, 1))
    differs = (backbone(NODES, one_way)[1] != backbone(changed, one_way)[1]).any(dim=1)
    assert differs.tolist() == [True, True, False, False]


@pytest.mark.parametrize("adjacency", [A, DENSE.to_sparse_csr(), NO_EDGES])
def test_it_keeps_the_contract(adjacency):
    assert check_backbone(gcn(), NODES, adjacency) == []
    assert check_graph(NODES, adjacency) == []


@pytest.mark.parametrize("adjacency", [A, DENSE.to_sparse_csr()])
def test_gradients_reach_nodes_and_every_layer(adjacency):
    network = Network(gcn(), PositionHead(gcn().channels, 3))
    nodes = NODES.clone().requires_grad_()
    logits = network(nodes, adjacency)
    assert logits.shape == (4, 3)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, -100]), ignore_index=-100).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    assert (nodes.grad[:3] != 0).any(dim=1).all()
    assert (nodes.grad[3] == 0).all()  # no answer of it counts, and nobody hears of it


def test_gradients_of_edge_weights_are_right():
    def features(weights):
        adjacency = torch.sparse_coo_tensor(A.indices(), weights, (4, 4), check_invariants=True)
        return gcn().double()(NODES.double(), adjacency)[1]

    assert torch.autograd.gradcheck(features, A.values().double().requires_grad_())


def test_dropout_only_while_training():
    backbone = gcn(dropout=0.9)
    assert torch.equal(backbone(NODES, A)[1], backbone(NODES, A)[1])
    backbone.train()
    assert not torch.equal(backbone(NODES, A)[1], backbone(NODES, A)[1])


def test_a_large_graph_is_never_dense():
    """300,000 nodes in a ring: a dense matrix would take 360 GB."""
    here = torch.arange(300_000)
    pairs = torch.stack([torch.cat([here, here.roll(1)]), torch.cat([here.roll(1), here])])
    ring = torch.sparse_coo_tensor(pairs, torch.ones(600_000), (300_000,) * 2, check_invariants=True)
    assert gcn(layers=1)(torch.ones(300_000, 5), ring)[1].shape == (300_000, 6)


@pytest.mark.parametrize("adjacency", [A, DENSE.to_sparse_csr()])
def test_costs_by_hand(adjacency):
    """4 nodes, 5 numbers => 6 => 6; A + I stores 4 + 4 weights, each hands on 6 numbers, in both layers."""
    assert cost.multiply_adds(gcn(), NODES, adjacency) == 4 * 5 * 6 + 4 * 6 * 6 + 2 * 8 * 6
    network = Network(gcn(), PositionHead(gcn().channels, 3))
    backbone, head = cost.ledger(network, NODES, adjacency)
    assert (backbone.parameters, head.parameters) == (5 * 6 + 6 * 6, 6 * 3 + 3)
    assert head.multiply_adds == 4 * 6 * 3


WRONG_CSR = torch.sparse_csr_tensor([0, 1, 1, 1, 1], [7], [1.0], (4, 4), check_invariants=False)
FALLING_CSR = torch.sparse_csr_tensor([0, 2, 1, 1, 1], [1], [1.0], (4, 4), check_invariants=False)


@pytest.mark.parametrize(
    ("nodes", "adjacency", "says"),
    [
        (NODES, DENSE, "adjacency is not sparse"),
        (NODES, DENSE.to_sparse_csc(), "adjacency is not sparse"),
        (NODES, DENSE.numpy(), "adjacency is ndarray, not a tensor"),
        (NODES, DENSE[:3].to_sparse(), r"adjacency has shape \(3, 4\)"),
        (NODES[:3], A, "adjacency is for 4 nodes, but there are 3"),
        (NODES, edges((0, 4)), r"an edge \(0, 4\), but nodes are numbered 0 to 3"),
        (NODES, edges((-1, 2)), r"an edge \(-1, 2\)"),
        (NODES, WRONG_CSR, r"an edge \(0, 7\)"),
        (NODES, FALLING_CSR, "crow_indices"),
        (NODES, (DENSE + torch.eye(4)).to_sparse(), r"self loops \(node 0\)"),
        (NODES, edges((2, 2)), r"self loops \(node 2\)"),
        (NODES, -A, "negative or not finite"),
        (NODES, edges((0, 1), weight=float("nan")), "negative or not finite"),
        (NODES, A.to(torch.complex64), "negative or not finite"),
        (NODES.long(), A, "nodes are torch.int64: pass float"),
        (NODES.tolist(), A, "nodes are list"),
        (NODES[None], A, r"nodes have shape \(1, 4, 5\)"),
        (NODES[:, :3], A, "each node has 3 numbers, but this gcn has in_features=5"),
    ],
)
def test_what_is_wrong_with_a_graph_is_named(nodes, adjacency, says):
    with pytest.raises(GraphError, match=says):
        gcn()(nodes, adjacency)


def test_all_faults_are_named():
    assert len(check_graph(NODES.long(), edges((0, 9), (1, 1), weight=-1.0))) == 4
    assert issubclass(GraphError, BackboneError)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"layers": 0}, "layers=0"), ({"width": 0}, "width=0"), ({"weights": "imagenet"}, "weights='imagenet'")],
)
def test_options_that_make_no_sense(options, says):
    with pytest.raises(BackboneError, match=says):
        create_backbone("gcn", **{"in_features": 5, **options})


def test_it_says_nothing_on_stderr():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gcn()(NODES, A)
