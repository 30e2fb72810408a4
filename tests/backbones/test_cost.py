"""Costs: against numbers worked out by hand and against those that were published."""

import copy
import math
import statistics
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import pack_padded_sequence
from torchvision.ops import DeformConv2d

from backbones import Backbone, Network, cost, create_backbone
from backbones.backbone import ByStride
from backbones.heads import ClassificationHead, ImageNetHead
from backbones.measure.cost import CostError, count_parameters, ledger, measure, multiply_adds, total


def by_hand() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=3, stride=2, padding=1),  # 32x32 => 16x16
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, kernel_size=3, padding=1, groups=8, bias=False),  # depthwise, 16x16
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def test_parameters_by_hand():
    assert count_parameters(by_hand()) == (3 * 8 * 9 + 8) + (8 + 8) + 8 * 9 + (8 * 10 + 10)


def test_frozen_parameters_still_count():
    assert count_parameters(by_hand().requires_grad_(False)) == count_parameters(by_hand())


def test_a_shared_parameter_counts_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    assert count_parameters(nn.Sequential(first, second)) == 16 + 4 + 4


@pytest.mark.parametrize("batch", [1, 3])
def test_multiply_adds_by_hand(batch):
    one = 16 * 16 * 8 * (3 * 9) + 16 * 16 * 8 * 9 + 8 * 10
    assert multiply_adds(by_hand(), torch.rand(batch, 3, 32, 32)) == batch * one


class Apply(nn.Module):
    """A function of the module itself and its inputs, as a module that owns some values."""

    def __init__(self, function, **values):
        super().__init__()
        self.function = function
        for name, value in values.items():
            setattr(self, name, value)

    def forward(self, *inputs):
        return self.function(self, *inputs)


B, T, C, H = 2, 16, 32, 24  # sentences, words, numbers for each word: in front of a layer, behind it
WORDS = torch.zeros(B, T, C)
ATTENTION = B * T * 4 * C * C + 2 * B * T * T * C  # query, key, value, result; who looks at whom, the mean
ENCODER = ATTENTION + 2 * B * T * C * 64
MASK = torch.zeros(B, T, dtype=torch.bool)


def attend(own, x):
    return own.layer(x, x, x)


def attend_by_function(own, x):
    return F.scaled_dot_product_attention(*[x.view(B, 4, T, 8)] * 3)


def encode_padded(own, x):
    return own.layer(x, src_key_padding_mask=MASK.to(x.device))


FIRST = {"batch_first": True}
FUSED = {
    "RNN": (lambda: nn.RNN(C, H, **FIRST), B * T * (C * H + H * H)),
    "GRU": (lambda: nn.GRU(C, H, **FIRST), 3 * B * T * (C * H + H * H)),
    "LSTM": (lambda: nn.LSTM(C, H, **FIRST), 4 * B * T * (C * H + H * H)),
    "two directions and layers": (
        lambda: nn.LSTM(C, H, num_layers=2, bidirectional=True, **FIRST),
        4 * B * T * 2 * (C * H + H * H + 2 * H * H + H * H),
    ),
    "attention": (lambda: Apply(attend, layer=nn.MultiheadAttention(C, 4, **FIRST)), ATTENTION),
    "attention, a function": (lambda: Apply(attend_by_function), 2 * B * T * T * C),
    "encoder layer": (lambda: nn.TransformerEncoderLayer(C, 4, 64, **FIRST), ENCODER),
    "encoder, padded": (
        lambda: Apply(
            encode_padded, layer=nn.TransformerEncoder(nn.TransformerEncoderLayer(C, 4, 64, **FIRST), 3)
        ),
        3 * ENCODER,
    ),
}


@pytest.mark.parametrize("decides", [False, True])
@pytest.mark.parametrize("name", FUSED)
def test_layers_whose_kernels_are_fused_cost_what_their_matrices_do(name, decides):
    """Whether values decide, so that the copy has numbers, or not; frozen or not; in any mode."""
    make, expected = FUSED[name]
    for frozen, training in ((False, False), (True, False), (False, True)):
        module = make().requires_grad_(not frozen).train(training)
        if decides:
            module = Apply(lambda own, x: (own.layer(x), x.max().item()), layer=module)
        work, whole = multiply_adds(module, WORDS), measure(module, WORDS)
        assert (work, work.uncounted) == (expected, ()) == (whole.multiply_adds, whole.uncounted)


def test_padding_that_a_recurrent_layer_never_sees_costs_nothing():
    def read(own, x, lengths):
        return own.layer(pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False))[1]

    module = Apply(read, layer=nn.GRU(C, H, batch_first=True))
    assert multiply_adds(module, WORDS, torch.tensor([10, 16])) == 3 * (10 + 16) * (C * H + H * H)


SPARSE = torch.eye(6).roll(1, 0)
SPARSE[0, :4] = 1  # ten numbers and 26 zeros
MATRIX, VECTOR = torch.zeros(6, 5), torch.zeros(6)


@pytest.mark.parametrize(
    ("function", "inputs", "expected"),
    [
        (lambda a, b: a @ b, (torch.zeros(3, 4), torch.zeros(4)), 12),
        (lambda a, b: a @ b, (torch.zeros(3), torch.zeros(3, 4)), 12),
        (lambda a, b: a @ b, (torch.zeros(4), torch.zeros(4)), 4),
        (torch.addmv, (torch.zeros(3), torch.zeros(3, 4), torch.zeros(4)), 12),
        (torch.addbmm, (torch.zeros(3, 5), torch.zeros(2, 3, 4), torch.zeros(2, 4, 5)), 2 * 3 * 4 * 5),
        (lambda a, b: torch.einsum("bij,bjk->bik", a, b), (torch.zeros(2, 3, 4), torch.zeros(2, 4, 5)), 120),
        *(
            (function, (layout(SPARSE), *inputs), expected)
            for layout in (Tensor.to_sparse, Tensor.to_sparse_csr, Tensor.to_sparse_csc)
            for function, inputs, expected in [
                (lambda a, b: a @ b, (MATRIX,), 10 * 5),
                (lambda a, b: a @ b, (VECTOR,), 10),
                (lambda a, b: b @ a, (MATRIX.T,), 10 * 5),
                (torch.sparse.mm, (MATRIX,), 10 * 5),
                (lambda a, b: torch.addmm(b, a, b), (MATRIX,), 10 * 5),
            ]
        ),
        (DeformConv2d(4, 6, 3), (torch.zeros(1, 4, 8, 8), torch.zeros(1, 18, 6, 6)), 6 * 6 * 6 * 4 * 9),
        (nn.ConvTranspose2d(3, 4, 2, 2), (torch.zeros(1, 3, 4, 4),), 4 * 4 * 3 * 4 * 2 * 2),
    ],
)  # fmt: skip
def test_products_by_hand(function, inputs, expected):
    module = Apply(lambda _, *values: function(*values))
    work = multiply_adds(module, *inputs)
    assert (work, work.uncounted) == (expected, ())


def test_a_sparse_matrix_that_a_module_owns():
    """A graph convolution: each of ten edges hands on three numbers."""
    module = Apply(lambda own, x: own.edges @ own.layer(x), edges=SPARSE.to_sparse(), layer=nn.Linear(5, 3))
    assert multiply_adds(module, MATRIX) == 6 * 5 * 3 + 10 * 3


@pytest.mark.parametrize(
    ("make", "shape", "billions"),
    [  # published at 224 pixels
        (torchvision.models.vit_b_16, (1, 3, 224, 224), 17.56),
        (lambda: timm.create_model("vit_small_patch16_224"), (1, 3, 224, 224), 4.6),
        (lambda: timm.create_model("pit_s_224"), (1, 3, 224, 224), 2.9),
    ],
)
def test_transformers_cost_what_is_published(make, shape, billions):
    module = make()
    assert multiply_adds(module, torch.zeros(shape)) / 1e9 == pytest.approx(billions, rel=0.015)
    assert measure(module, torch.zeros(shape)).multiply_adds / 1e9 == pytest.approx(billions, rel=0.015)


# What cannot be counted


@torch.library.custom_op("backbones_test::mix", mutates_args=())
def mix(x: Tensor) -> Tensor:
    """torch knows nothing about this, not even the shape of the result."""
    return x @ x.T


@pytest.mark.filterwarnings("ignore:not in these multiply-adds")
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (mix, "backbones_test.mix"),
        (torch.linalg.inv, "aten.linalg_inv_ex"),
        (torch.linalg.svdvals, "aten._linalg_svd"),
        (lambda x: torch.addr(x, x[0], x[1]), "aten.addr"),
        (lambda x: torch.fft.fft(x).real, "aten._fft_r2c"),
        (lambda x: torch.cdist(x, x), "aten._cdist_forward"),
        (lambda x: F.bilinear(x, x, x.new_zeros(2, 4, 4)), "aten._trilinear"),
        (lambda x: x.to_sparse() @ x.to_sparse(), "aten.mm"),  # how many meet depends on where
    ],
)
def test_what_cannot_be_counted_is_named(function, name):
    network = nn.Sequential(nn.Linear(4, 4, bias=False), Apply(lambda _, x: function(x)))
    work = multiply_adds(network, torch.eye(4))
    assert work == 4 * 4 * 4
    assert name in work.uncounted
    assert str(work).startswith(f"64 + {name} (not counted)")
    assert copy.copy(work).uncounted == work.uncounted
    rows = ledger(network, torch.eye(4))
    assert [bool(row.uncounted) for row in rows] == [False, True]
    assert cost.table(rows).splitlines()[-1].startswith(f"not counted: {name}")
    assert measure(network, torch.eye(4)).uncounted == work.uncounted


def test_a_figure_that_lacks_something_warns():
    """Divided by a billion it is an ordinary number, which names nothing any more."""
    with pytest.warns(UserWarning, match=r"not in these multiply-adds: backbones_test\.mix"):
        assert multiply_adds(Apply(lambda _, x: mix(x)), torch.eye(4)) / 1e9 == 0


def test_what_has_no_products_is_not_named():
    def much(own, x):
        x = F.hardswish(F.mish(F.celu(own.norm(x)))).softmax(1).roll(1, -1).flip(-1)
        x = F.interpolate(F.pad(x, (1, 1, 1, 1), mode="reflect"), scale_factor=2, mode="bicubic")
        x = F.grid_sample(F.adaptive_max_pool2d(x, 4), x.new_zeros(1, 4, 4, 2), align_corners=False)
        top, where = x.flatten(1).sort()
        much = (
            F.interpolate(F.normalize(x), 6, mode="bilinear").rot90(1, (2, 3)),
            F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2),
        )
        return top.gather(1, where).cumsum(1).topk(3), F.unfold(x, 2), F.glu(x), F.mse_loss(x, x), much

    work = multiply_adds(Apply(much, norm=nn.GroupNorm(2, 4)), torch.zeros(1, 4, 8, 8))
    assert (work, work.uncounted) == (0, ())


@pytest.mark.parametrize(
    ("name", "billions", "parameters"),
    [  # convolutions and matrix products at 224 pixels, as torchvision documents them beside its weights
        ("resnet18", 1.814, 11_689_512),
        ("resnet101", 7.801, 44_549_160),
        ("vgg16", 15.47, 138_357_544),
        ("mobilenetv2_100", 0.301, 3_504_872),
    ],
)
def test_whole_classifiers_cost_what_is_published(name, billions, parameters):
    with torch.device("meta"):  # shapes are enough to count
        whole, images = timm.create_model(name), torch.rand(1, 3, 224, 224)
    assert multiply_adds(whole, images) / 1e9 == pytest.approx(
        billions, abs=0.0006 if billions < 9 else 0.006
    )
    assert count_parameters(whole) == parameters


@pytest.mark.parametrize(
    ("name", "millions", "billions"),
    [  # as printed, to the digits printed: torchvision's table of models at 224 pixels, rounded
        ("resnet50", 25.6, 4.1),
        ("resnet101", 44.5, 7.8),
        ("vgg16", 138, 15.5),
        ("mobilenetv2_100", 3.5, 0.30),  # 0.30: Sandler et al., MobileNetV2 (2018), table 4
        ("legacy_xception", 22.9, None),  # 22,855,952: Chollet, Xception (2017), table 3
    ],
)
@pytest.mark.slow
def test_round_published_figures_hold_within_one_percent(name, millions, billions):
    with torch.device("meta"):
        whole = measure(timm.create_model(name), torch.rand(1, 3, 224, 224))
    assert whole.parameters / 1e6 == pytest.approx(millions, rel=0.01)
    assert billions is None or whole.multiply_adds / 1e9 == pytest.approx(billions, rel=0.01)


def test_legacy_xception_is_chollet_s_to_the_last_parameter():
    with torch.device("meta"):
        assert count_parameters(timm.create_model("legacy_xception")) == 22_855_952


def test_lite0_costs_what_its_layers_do():
    """4.65 million parameters, as published; its multiply-adds are summed here in another way.

    Its authors publish 407 million multiply-adds, 6 % more than its convolutions have. EfficientNet-B0, the
    same network with squeeze-and-excitation on top, is published with 390 million: Tan, Le, EfficientNet
    (2019), table 2.
    """
    lite0 = Network(create_backbone("tf_efficientnet_lite0"), ImageNetHead("tf_efficientnet_lite0"))
    layers = []

    def count(layer: nn.Module, _: tuple, result: torch.Tensor) -> None:
        layers.append(
            result.numel() * layer.weight[0].numel()
        )  # each number is one dot product with a filter

    for layer in lite0.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(count)
    total = multiply_adds(lite0, torch.rand(1, 3, 224, 224))
    assert total == sum(layers)
    assert 0.94 * 407e6 < total < 390e6
    assert count_parameters(lite0) == pytest.approx(4.652e6, rel=0.001)


def test_half_the_output_stride_costs_more_with_the_same_parameters():
    images = torch.rand(1, 3, 64, 64)
    backbones = [create_backbone("test_resnet", output_stride=stride) for stride in (32, 16, 8)]
    costs = [multiply_adds(backbone, images) for backbone in backbones]
    assert costs == sorted(set(costs))
    assert len({count_parameters(backbone) for backbone in backbones}) == 1


def test_measuring_changes_nothing():
    network = by_hand().train()
    network[1].eval()  # a part that is frozen while the rest trains
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    multiply_adds(network, images)
    assert [part.training for part in network] == [True, False, True, True, True, True, True]
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert images.grad is None
    assert torch.is_grad_enabled()


def lazy() -> nn.Module:
    return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5))


def test_a_lazy_module_is_measured_and_stays_lazy():
    network, images = lazy(), torch.zeros(2, 3, 6, 6)
    ready = lazy()
    ready(images)
    assert multiply_adds(network, images) == multiply_adds(ready, images)
    assert [row[:5] for row in ledger(network, images)] == [row[:5] for row in ledger(ready, images)]
    assert measure(network, images).parameters == count_parameters(ready)
    assert cost.receptive_field(network[0], images) == (3, 1)
    assert all(is_lazy(parameter) for parameter in network.parameters())
    assert isinstance(network[0], nn.LazyConv2d)


@pytest.mark.parametrize(
    "module",
    [
        Apply(lambda own, x: x @ own.matrix, matrix=torch.rand(3, 4)),  # neither parameter nor buffer
        Apply(lambda own, x: x @ own.matrices[0], matrices=[nn.Parameter(torch.rand(3, 4))]),
        Apply(lambda own, x: own.layer(x) + torch.zeros(2, 4), layer=nn.Linear(3, 4)),
        Apply(lambda own, x: own.layer(x) + torch.zeros(2, 4, device="cpu"), layer=nn.Linear(3, 4)),
        Apply(
            lambda own, x: own.layer(x[x.sum(1) > -1]), layer=nn.Linear(3, 4)
        ),  # how many rows, the values say
        Apply(lambda own, x: torch.inference_mode()(own.layer)(x), layer=nn.Linear(3, 4)),
        nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)),
    ],
)
def test_wherever_a_module_keeps_its_tensors_or_makes_new_ones(module):
    assert multiply_adds(module, torch.rand(2, 3)) == 2 * 3 * 4
    assert measure(module, torch.rand(2, 3)).multiply_adds == 2 * 3 * 4


def test_a_module_that_only_runs_without_gradients():
    first, second = nn.Linear(3, 4), nn.Linear(4, 5)
    module = Apply(
        lambda own, x: own.second(torch.inference_mode()(own.first)(x)), first=first, second=second
    )
    assert multiply_adds(module, torch.rand(2, 3)) == 2 * (3 * 4 + 4 * 5)
    assert cost.receptive_field(module, torch.rand(1, 2, 3)).size == 1


def test_hooks_work_on_the_copy_and_stay():
    """timm's feature extractors collect their maps in hooks."""
    network, images = toy_network(), torch.zeros(1, 3, 32, 32)
    hooks = [dict(part._forward_hooks) for part in network.modules()]
    ledger(network, images)
    assert [dict(part._forward_hooks) for part in network.modules()] == hooks


def test_a_module_without_numbers_that_decides_by_numbers_says_so():
    with torch.device("meta"):
        module = Apply(lambda own, x: own.layer(x) * x.max().item(), layer=nn.Linear(3, 3))
        with pytest.raises(CostError, match="build it and its input on the CPU"):
            multiply_adds(module, torch.rand(1, 3))
        with pytest.raises(RuntimeError, match="channel"):  # another mistake keeps its own message
            multiply_adds(nn.Conv2d(3, 4, 1), torch.rand(1, 5, 2, 2))


def test_the_mode_comes_back_after_an_error():
    network = by_hand().train()
    with pytest.raises(RuntimeError):
        multiply_adds(network, torch.rand(1, 1, 32, 32))
    assert all(part.training for part in network.modules())


def test_eval_mode_lets_a_batch_of_one_through_batch_norm():
    """In training mode batch norm refuses to take a mean over a single number."""
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    assert multiply_adds(network, torch.rand(1, 4)) == 16


# Memory


def test_activation_memory_by_hand():
    """Convolution and linear layer keep their inputs, batch norm too, with mean and deviation of a
    channel, ReLU its result; each memory once."""
    image, convolved, rectified, pooled = 3 * 32 * 32, 8 * 16 * 16, 8 * 16 * 16, 8
    kept = image + convolved + rectified + pooled  # the depthwise input is the ReLU's result
    for batch in (1, 3):
        assert measure(by_hand(), torch.rand(batch, 3, 32, 32)).activation_bytes == 4 * (batch * kept + 2 * 8)


def test_a_frozen_part_keeps_nothing_for_the_backward_pass():
    network, images = by_hand(), torch.rand(2, 3, 32, 32)
    network[:4].requires_grad_(False)
    assert measure(network, images).activation_bytes == 2 * 8 * 4  # the linear layer's input
    assert measure(network.requires_grad_(False), images).activation_bytes == 0


def test_activation_memory_is_what_the_graph_of_gradients_holds():
    network, images = toy_network().train(), torch.rand(2, 3, 64, 64)
    ours = {value.data_ptr() for value in network.state_dict().values()}
    held, nodes = {}, [network(images).grad_fn]
    for node in nodes:  # grows while we walk
        nodes += [next_node for next_node, _ in node.next_functions if next_node and next_node not in nodes]
        saved = [getattr(node, name) for name in dir(node) if name.startswith("_saved_")]
        for one in saved:
            if isinstance(one, Tensor) and one.untyped_storage().data_ptr() not in ours:
                held[one.untyped_storage().data_ptr()] = one.untyped_storage().nbytes()
    assert measure(network, images).activation_bytes == sum(held.values())


# Parts and stages


def toy_network(output_stride: int = 32) -> Network:
    backbone = create_backbone("test_resnet", output_stride=output_stride)
    return Network(backbone, ClassificationHead(backbone.channels, num_classes=5))


@pytest.mark.parametrize("output_stride", [32, 8])
def test_rows_add_up_to_the_whole(output_stride):
    network, images = toy_network(output_stride), torch.rand(2, 3, 64, 64)
    rows, whole = ledger(network, images), measure(network, images)
    assert total(rows) == whole
    assert whole.parameters == count_parameters(network)
    assert whole.multiply_adds == multiply_adds(network, images)
    strides = list(network.backbone.channels)
    assert [(row.part, row.stride) for row in rows] == [("backbone", s) for s in strides] + [("head", None)]
    assert all(min(row[3:6]) > 0 for row in rows)
    # Each part alone costs what its rows say.
    assert sum(row.parameters for row in rows[:-1]) == count_parameters(network.backbone)
    assert sum(row.multiply_adds for row in rows[:-1]) == multiply_adds(network.backbone, images)
    assert rows[-1].multiply_adds == multiply_adds(network.head, network.backbone(images))
    assert rows[:-1] == ledger(network.backbone, images)


def test_stages_of_resnet50_against_their_layers():
    with torch.device("meta"):
        backbone = create_backbone("resnet50")
        rows = {row.stride: row for row in ledger(backbone, torch.rand(1, 3, 224, 224))}
    body = backbone.body
    assert rows[2].parameters == count_parameters(body.conv1) + count_parameters(body.bn1)
    for stride, layer in {4: body.layer1, 8: body.layer2, 16: body.layer3, 32: body.layer4}.items():
        assert rows[stride].parameters == count_parameters(layer)
        channels = layer[0].conv1.in_channels
        before = torch.rand(1, channels, *[224 // (4 if stride == 4 else stride // 2)] * 2, device="meta")
        assert rows[stride].multiply_adds == multiply_adds(layer, before)


def test_pixels_are_those_that_the_backbone_gets():
    """A detector resizes images and copies them into a batch first: the trail begins anew at the backbone."""

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = toy_network()

        def forward(self, images: list[Tensor]) -> Tensor:
            batch = torch.zeros(len(images), 3, 64, 64)
            for place, image in zip(batch, images, strict=True):
                place[:, : image.shape[1], : image.shape[2]].copy_(image)
            return self.network(batch)

    detector, images = Detector(), [torch.rand(3, 50, 64), torch.rand(3, 64, 40)]
    rows = ledger(detector, images, parts=["network.backbone", "network.head"])
    rows = [row for row in rows if row.part == "network.backbone"]
    fields = cost.receptive_field(detector.network.backbone, torch.rand(2, 3, 64, 64))
    assert [(row.receptive_field, row.stride) for row in rows] == list(fields.values())


def test_a_neck_inside_the_head_can_be_a_row_of_its_own():
    network = toy_network()
    network.head = nn.Sequential(network.head, nn.Linear(5, 5), nn.Linear(5, 3))
    images = torch.rand(1, 3, 32, 32)
    rows = ledger(network, images, parts=["backbone", "head.1", "head"])
    assert [row.part for row in rows[-3:]] == ["backbone", "head", "head.1"]
    assert rows[-1].parameters == 5 * 5 + 5
    assert total(rows) == measure(network, images)
    with pytest.raises(CostError, match=r"no part 'neck'; its children: backbone, head\."):
        ledger(network, images, parts=["neck"])


def test_what_belongs_to_no_part_or_is_not_used_is_still_counted():
    class Loose(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = nn.Linear(4, 4), nn.Linear(4, 2)
            self.matrix = nn.Parameter(torch.rand(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x) @ self.matrix

    rows = {row.part: row for row in ledger(Loose(), torch.rand(1, 4))}
    assert {name: (row.parameters, row.multiply_adds) for name, row in rows.items()} == {
        "used": (20, 16),
        "elsewhere": (12, 12),
        "idle": (0, 0),
        "unused": (10, 0),
    }


def test_a_shared_part_counts_its_parameters_once_and_its_work_every_time():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.Linear(4, 4, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.one(self.one(x))

    (row,) = ledger(Twice(), torch.rand(1, 4))
    assert (row.parameters, row.multiply_adds) == (16, 32)


def test_a_parameter_that_meets_itself_counts_once():
    module = Apply(lambda own, x: x @ (own.matrix @ own.matrix), matrix=nn.Parameter(torch.rand(4, 4)))
    assert [row[3:5] for row in ledger(module, torch.rand(1, 4))] == [(16, 64 + 16)]


def test_a_backbone_without_feature_maps_is_one_row():
    class Sequence(Backbone):
        def __init__(self):
            super().__init__()
            self.words, self.layer = nn.Embedding(7, 4), nn.Linear(4, 4)

        def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
            features = self.layer(self.words(tokens))
            return features, features.mean(1)

    tokens = torch.tensor([[1, 2, 3], [4, 5, 6]])
    assert [row[:5] for row in ledger(Sequence(), tokens)] == [("backbone", None, None, 7 * 4 + 20, 6 * 16)]


def test_stages_end_where_their_maps_are_computed_not_where_they_are_viewed():
    """Some of timm's backbones turn all maps round at the very end."""

    class Turned(Backbone):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 4, 2, 2, bias=False), nn.Conv2d(4, 5, 2, 2, bias=False)

        def forward(self, x: Tensor) -> ByStride:
            maps = [x := self.first(x), self.second(x)]
            return ByStride(zip((2, 4), [one.permute(0, 2, 3, 1) for one in maps], strict=True))

    rows = ledger(Turned(), torch.rand(1, 3, 8, 8))
    assert [(row.stride, row.parameters) for row in rows] == [(2, 3 * 4 * 4), (4, 4 * 5 * 4)]


def test_nothing_to_do_costs_nothing():
    row = measure(nn.Identity(), torch.rand(1, 3, 8, 8))
    assert row[3:6] == (0, 0, 0)
    assert (row.stride, row.receptive_field) == (1, 1)
    assert multiply_adds(nn.Identity(), torch.rand(1, 3, 8, 8)) == 0


def test_the_table_has_a_line_a_row_and_the_total():
    rows = ledger(toy_network(), torch.rand(1, 3, 32, 32))
    lines = cost.table(rows).splitlines()
    assert len(lines) == 1 + len(rows) + 1
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].split()[:4] == ["total", "-", "all", f"{count_parameters(toy_network()) / 1e6:.3f}"]


def test_a_ledger_changes_nothing():
    network = toy_network().train()
    network.backbone.eval().requires_grad_(False)
    modes = [part.training for part in network.modules()]
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.rand(2, 3, 32, 32)
    attributes, hooks = dir(images), [len(part._forward_hooks) for part in network.modules()]
    ledger(network, images)
    with pytest.raises(RuntimeError):
        measure(network.head, {32: torch.rand(1, 7, 2, 2)})
    assert [part.training for part in network.modules()] == modes
    assert [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in network.modules()] == hooks
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert dir(images) == attributes
    assert all(parameter.grad is None for parameter in network.parameters())
    network(images).sum().backward()  # training goes on as if nothing had been


def test_work_in_place_does_not_reach_the_caller_s_images():
    images = torch.rand(1, 3, 8, 8) - 0.5
    before = images.clone()
    measure(nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(3, 4, 1)), images)
    assert torch.equal(images, before)


# Time


def test_latency_is_the_median_of_the_passes_after_the_warm_up(monkeypatch):
    durations = [900, 800, 3, 1, 500, 2, 4]  # ms; two to warm up, and one that was interrupted
    clock = iter([moment for d in durations for moment in (0.0, d / 1000)])
    monkeypatch.setattr(cost, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    calls = []

    class Counted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            calls.append((self.training, torch.is_grad_enabled()))
            return super().forward(x)

    module = Counted(2, 2).train()
    milliseconds = cost.latency(module, torch.rand(1, 2), repeats=5, warmup=2)
    assert milliseconds == pytest.approx(statistics.median(durations[2:])) == pytest.approx(3)
    assert calls == [(False, False)] * 7
    assert module.training


def test_latency_of_a_real_pass_is_a_positive_number():
    assert 0 < cost.latency(nn.Linear(2, 2), torch.rand(1, 2), repeats=2) < math.inf


def test_a_module_can_be_trained_after_its_latency_was_measured():
    """What a module computes in the first pass and keeps must not be bound to inference."""

    class Keeps(nn.Linear):
        kept = None

        def forward(self, x: Tensor) -> Tensor:
            self.kept = torch.ones(2) * 2 if self.kept is None else self.kept
            return super().forward(x) * self.kept

    module = Keeps(2, 2)
    cost.latency(module, torch.rand(1, 2), repeats=1)
    module(torch.rand(1, 2)).sum().backward()
    assert module.weight.grad is not None


# Errors


@pytest.mark.parametrize("function", [multiply_adds, measure, ledger, cost.latency, cost.receptive_field])
def test_errors_say_what_to_do(function):
    with pytest.raises(CostError, match="pass a batch after the module"):
        function(nn.Conv2d(3, 4, 1))


def test_latency_refuses_what_cannot_be_timed():
    with pytest.raises(CostError, match="at least one pass"):
        cost.latency(nn.Linear(2, 2), torch.rand(1, 2), repeats=0)
    with pytest.raises(CostError, match="on the meta device nothing is computed"):
        cost.latency(nn.Linear(2, 2, device="meta"), torch.rand(1, 2, device="meta"))


def test_a_receptive_field_needs_one_map():
    for inputs in ([torch.rand(1, 4)], [ByStride({4: torch.rand(1, 4, 8, 8), 8: torch.rand(1, 4, 4, 4)})]):
        with pytest.raises(CostError, match=r"needs one map \(B, C, H, W\) as input, got shapes"):
            cost.receptive_field(nn.Identity(), *inputs)
