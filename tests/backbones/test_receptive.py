"""Receptive fields: against published ones and against what outputs really depend on."""

import math

import pytest
import timm
import torch
from timm.layers import LayerNorm2d
from torch import Tensor, nn
from torch.nn import functional as F

from backbones import create_backbone
from backbones.measure.cost import receptive_field
from backbones.measure.receptive import ReceptiveField

IMAGE = torch.rand(1, 3, 64, 64)
META = IMAGE.to("meta")


def reads(module: nn.Module, size: int) -> Tensor:
    """What really reaches what, along columns: bool (positions of the result, pixels).

    Image b of the batch holds "not a number" in column b, and whatever is computed from it becomes so too,
    whichever the weights. Only the last dimension of the result counts as positions.
    """
    images = torch.ones(size, 3, size, size)
    images[range(size), :, :, range(size)] = torch.nan
    with torch.no_grad():
        result = module.eval()(images)
    return result.isnan().flatten(1, -2).any(dim=1).T


def measured(module: nn.Module, size: int) -> ReceptiveField:
    """The widest field among positions that do not touch the border, and the distance between two of them."""
    inner = [row.nonzero().flatten() for row in reads(module, size) if not (row[0] or row[-1])]
    first, last = (torch.stack([pixels[end] for pixels in inner]) for end in (0, -1))
    stride = (first[-1] - first[0]).item() / (len(inner) - 1)  # neighbors may differ: on average
    return ReceptiveField((last - first).max().item() + 1, round(stride))


def conv(before: int, after: int, kernel: int = 3, **options: int) -> nn.Conv2d:
    """A convolution whose padding keeps the size at stride 1."""
    padding = options.get("dilation", 1) * (kernel - 1) // 2
    return nn.Conv2d(before, after, kernel, padding=padding, **options)


class Add(nn.Module):
    """Runs its paths side by side and adds their results."""

    def __init__(self, *paths: nn.Module):
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        return sum(path(x) for path in self.paths)


class Cat(Add):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], dim=1)


class Apply(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def channels_last_block() -> nn.Module:
    """As in ConvNeXt: the linear layers see channels last, folded into rows."""
    inner = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 4))
    return nn.Sequential(
        conv(3, 4, 7),
        Apply(lambda x: x.permute(0, 2, 3, 1)),
        inner,
        Apply(lambda x: x.permute(0, 3, 1, 2)),
    )


NETWORKS = {
    "one convolution": lambda: conv(3, 4),
    "even kernel": lambda: nn.Conv2d(3, 4, 2, stride=2),
    "chain": lambda: nn.Sequential(
        conv(3, 4, 7, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1), conv(4, 4), nn.ReLU6()
    ),
    "dilation": lambda: nn.Sequential(
        conv(3, 4, dilation=2), conv(4, 4, stride=2), conv(4, 4, 3, dilation=4)
    ),
    "average pooling": lambda: nn.Sequential(nn.AvgPool2d(4), conv(3, 3)),
    "pooling that rounds up": lambda: nn.Sequential(nn.MaxPool2d(3, 2, ceil_mode=True), conv(3, 3)),
    "shortcut": lambda: nn.Sequential(
        Add(nn.Sequential(conv(3, 4, stride=2), nn.ReLU(inplace=True), conv(4, 4)), conv(3, 4, 1, stride=2)),
        nn.SiLU(),
        Add(conv(4, 4), nn.Identity()),
    ),
    "atrous pyramid": lambda: nn.Sequential(
        Cat(*(conv(3, 2, dilation=rate) for rate in (1, 2, 5))), nn.PReLU(6), conv(6, 3)
    ),
    "padding and cropping": lambda: nn.Sequential(
        nn.ReflectionPad2d(2), nn.Conv2d(3, 4, 5), Apply(lambda x: x[..., 1:-1, 1::2]), conv(4, 4)
    ),
    "enlarged, nearest": lambda: nn.Sequential(conv(3, 4, stride=4), nn.Upsample(scale_factor=4), conv(4, 4)),
    "enlarged, bilinear": lambda: nn.Sequential(
        conv(3, 4, stride=2), nn.Upsample(scale_factor=2, mode="bilinear"), conv(4, 4)
    ),
    "decoder": lambda: nn.Sequential(
        conv(3, 4), Add(nn.Identity(), nn.Sequential(conv(4, 4, stride=2), nn.Upsample(scale_factor=2)))
    ),
    "transposed convolution": lambda: nn.Sequential(
        conv(3, 4, stride=4), nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1), conv(4, 4)
    ),
    "channels last": channels_last_block,
    "attention over channels": lambda: nn.Sequential(
        conv(3, 4), Apply(lambda x: x * x.mean(dim=1, keepdim=True).sigmoid() + x.amax(1)[:, None])
    ),
    "maximum over channels that come last": lambda: nn.Sequential(
        conv(3, 4), Apply(lambda x: x.permute(0, 2, 3, 1).amax(-1)[:, None]), conv(1, 2)
    ),
    "shuffled channels": lambda: nn.Sequential(conv(3, 4), nn.ChannelShuffle(2), conv(4, 4)),
    "views of channels": lambda: nn.Sequential(
        conv(3, 4),
        Apply(lambda x: x.view(len(x), 2, 2, *x.shape[2:]).transpose(1, 2).reshape(x.shape)),
        conv(4, 2),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_computed_is_what_is_measured(name):
    module = NETWORKS[name]().eval()
    assert receptive_field(module, torch.rand(1, 3, 72, 72)) == measured(module, 72)


GLOBAL = {
    "squeeze and excitation": lambda: nn.Sequential(
        conv(3, 4, stride=2),
        Apply(lambda x: x * torch.sigmoid(F.adaptive_avg_pool2d(x, 1))),
        conv(4, 4),
    ),
    "mean": lambda: nn.Sequential(conv(3, 4), Apply(lambda x: x - x.mean((2, 3), keepdim=True))),
    "group norm": lambda: nn.Sequential(conv(3, 4), nn.GroupNorm(2, 4)),
    "attention": lambda: Apply(lambda x: F.softmax(x, dim=-1)),
    "every pixel with every other": lambda: nn.Sequential(
        nn.AvgPool2d(3), nn.Flatten(2), nn.Linear(64, 64), nn.Unflatten(2, (8, 8))
    ),
    "a fixed pool": lambda: nn.AdaptiveAvgPool2d(1),
}


EVERYWHERE_ALIKE = [
    *(
        nn.Hardswish(),
        nn.Hardswish(inplace=True),
        nn.Hardsigmoid(),
        nn.GELU(),
        nn.SiLU(),
        nn.Mish(),
        nn.CELU(),
    ),
    *(nn.PReLU(4), nn.RReLU(), nn.LogSigmoid(), nn.Softplus(), nn.Threshold(0.1, 0), nn.ELU(), nn.Dropout()),
    *(nn.Softmax(dim=1), nn.LogSoftmax(dim=-3), nn.GLU(dim=1), nn.BatchNorm2d(4), LayerNorm2d(4)),
    *(nn.InstanceNorm2d(4, track_running_stats=True), nn.Identity(), nn.ChannelShuffle(2)),
]


@pytest.mark.parametrize("layer", EVERYWHERE_ALIKE, ids=str)
def test_what_treats_each_position_for_itself_adds_nothing(layer):
    module = nn.Sequential(conv(3, 4, stride=2), layer)
    assert receptive_field(module, torch.rand(1, 3, 40, 40)) == (3, 2) == measured(module, 40)


@pytest.mark.parametrize(
    "layer",
    [
        *(
            nn.InstanceNorm2d(4),
            nn.GroupNorm(2, 4),
            nn.Softmax(dim=-1),
            nn.Softmax2d(),
            nn.LayerNorm([4, 12, 12]),
        ),
    ],
    ids=str,
)
def test_a_norm_over_positions_sees_the_whole_image_and_keeps_the_stride(layer):
    module = nn.Sequential(conv(3, 4, stride=2), layer)
    expected = 3 if isinstance(layer, nn.Softmax2d) else math.inf  # that one is over channels
    assert receptive_field(module, torch.rand(1, 3, 24, 24)) == (expected, 2)
    assert reads(module, 24).all() == (expected == math.inf)


@pytest.mark.parametrize("name", ["mobilenetv3_large_100", "lcnet_100"])
def test_backbones_with_hardswish_see_as_far_as_their_kernels(name):
    """Until the first squeeze and excitation, which sees the whole image and keeps the stride."""
    with torch.device("meta"):
        fields = receptive_field(create_backbone(name), META)
    assert [field.stride for field in fields.values()] == list(fields)
    assert (fields[2].size, fields[4].size) == (7, 19)
    assert fields[32].size == math.inf


def test_a_neck_sees_whole_positions_of_the_coarser_map():
    """Two enlargements by two, then a 3x3 convolution: it reads two positions of the deepest map."""
    enlarge = nn.Upsample(scale_factor=2)
    module = nn.Sequential(nn.AvgPool2d(8), enlarge, enlarge, conv(3, 3))
    assert receptive_field(module, torch.rand(1, 3, 80, 80)) == (16, 2) == measured(module, 80)


@pytest.mark.parametrize("name", GLOBAL)
def test_what_mixes_all_positions_sees_the_whole_image(name):
    module = GLOBAL[name]()
    assert receptive_field(module, torch.rand(1, 3, 24, 24)).size == math.inf
    assert reads(module, 24).all()


def test_the_stride_survives_squeeze_and_excitation_but_not_pooling():
    assert receptive_field(GLOBAL["squeeze and excitation"](), IMAGE) == (math.inf, 2)
    assert receptive_field(GLOBAL["a fixed pool"](), IMAGE) == (math.inf, None)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [("test_resnet", [11, 31, 55]), ("test_efficientnet", [7, 11, 19]), ("test_convnext", [28])],
)
def test_timm_s_small_networks_read_what_was_computed(name, sizes):
    """Their shallow stages; the deeper ones of two of them see the whole image or more than fits here."""
    backbone = create_backbone(name)
    computed = list(receptive_field(backbone, IMAGE).items())[: len(sizes)]
    assert [field.size for _, field in computed] == sizes
    for stride, field in computed:
        assert measured(Apply(lambda x, s=stride: backbone.eval()(x)[s]), 80) == field
        assert field.stride == stride


@pytest.mark.parametrize("size", [32, 33, 65])
def test_padding_as_in_tensorflow_shifts_but_does_not_widen(size):
    """tf_ models pad one side more at even sizes."""
    fields = receptive_field(create_backbone("tf_efficientnet_lite0"), torch.rand(1, 3, size, size))
    assert {stride: field.size for stride, field in fields.items()} == {2: 7, 4: 19, 8: 67, 16: 339, 32: 851}


def test_gradients_reach_exactly_as_far():
    """With positive weights nothing cancels, so that the gradient of one position shows all it reads."""
    module = nn.Sequential(conv(3, 4, stride=2), nn.ReLU(), conv(4, 4, dilation=2), nn.AvgPool2d(2))
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.1)
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    module(image)[0, 0, 8, 8].backward()
    columns = image.grad.abs().sum(dim=(0, 1, 2)).nonzero().flatten()
    assert columns[-1] - columns[0] + 1 == receptive_field(module, image).size


# Published: Araujo, Norris, Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill (2019),
# for TensorFlow's slim models; they publish the deepest map.


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vgg16", 212),
        ("mobilenetv1_100", 315),
        ("inception_v3", 1311),
        ("inception_v4", 2071),
        ("inception_resnet_v2", 3039),
    ],
)
def test_published_receptive_fields(name, size):
    with torch.device("meta"):
        model = timm.create_model(name, features_only=True)  # Inception's maps are no backbone's
        *_, deepest = receptive_field(model, torch.rand(1, 3, 128, 128))
    assert deepest == (size, 32)


def test_vgg16_stage_by_stage():
    """Araujo et al., table of end points: pool1 6, pool2 16, pool3 44, pool4 100, pool5 212.

    timm gives the map before each pooling, which the pooling widens by one step.
    """
    with torch.device("meta"):
        fields = receptive_field(create_backbone("vgg16"), META)
    assert {stride: field.size + stride for stride, field in fields.items() if stride < 32} == {
        1: 6,
        2: 16,
        4: 44,
        8: 100,
        16: 212,
    }


@pytest.mark.parametrize(("name", "size"), [("resnet50", 483), ("resnet101", 1027), ("resnet152", 1507)])
def test_resnet_as_published_strides_on_the_1x1_convolution(name, size):
    """He et al. (2015) put the stride of a stage on its first 1x1 convolution. timm and torchvision put it on
    the 3x3 behind it ("v1.5"), which then still moves in small steps: 8 + 16 + 32 pixels less."""
    with torch.device("meta"):
        network = timm.create_model(name, features_only=True)
        assert receptive_field(network, META)[-1:] == [ReceptiveField(size - 56, 32)]
        for stage in (network.layer2, network.layer3, network.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = stage[0].conv2.stride, stage[0].conv1.stride
        assert receptive_field(network, META)[-1:] == [ReceptiveField(size, 32)]


# The rest of the contract


@pytest.mark.parametrize("size", [1, 7, 32, 500])
def test_the_size_of_the_image_does_not_matter(size):
    fields = receptive_field(create_backbone("resnet18"), torch.rand(1, 3, size, size))
    assert [field.size for field in fields.values()] == [7, 43, 99, 211, 435]


def test_dilation_keeps_the_receptive_field_and_halves_the_stride():
    images = torch.rand(1, 3, 64, 64)
    by_output_stride = [
        receptive_field(create_backbone("resnet50", output_stride=s), images) for s in (32, 16, 8)
    ]
    assert [max(fields) for fields in by_output_stride] == [32, 16, 8]
    assert [fields[max(fields)] for fields in by_output_stride] == [(427, 32), (427, 16), (427, 8)]


def test_the_longer_side_counts():
    assert receptive_field(nn.Conv2d(3, 4, (1, 7), padding=(0, 3)), IMAGE) == (7, 1)
    assert receptive_field(nn.Conv2d(3, 4, (5, 1), stride=(2, 1)), IMAGE) == (5, 2)


def test_one_image_without_a_batch():
    """Three dimensions are taken for (B, C, length), so only columns are followed."""
    assert receptive_field(nn.Conv2d(3, 4, (5, 3), stride=(4, 2)), IMAGE[0]) == (3, 2)


def test_a_stack_over_a_sequence():
    stack = nn.Sequential(nn.Conv1d(8, 8, 3, stride=2), nn.ReLU(), nn.Conv1d(8, 8, 3, dilation=4))
    assert receptive_field(stack, torch.rand(1, 8, 50)) == (1 + 2 + 2 * 4 * 2, 2)


def test_nothing_of_it_remains():
    image = torch.rand(1, 3, 8, 8)
    module = nn.Sequential(conv(3, 4), nn.Dropout()).train()
    before = dir(image)
    receptive_field(module, image)
    assert dir(image) == before
    assert module[1].training
    assert not any(hasattr(parameter, "_sees") for parameter in module.parameters())
    assert not hasattr(module(image), "_sees")
