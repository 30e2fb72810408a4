"""Image backbones: what they declare is what they do, at every output stride, and errors that help."""

import re
from functools import cache
from math import ceil

import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms.v2.functional import pil_to_tensor

from backbones import BackboneError, check_backbone, create_backbone
from backbones.backbone import BatchError
from backbones.trial import _twin, output_strides, plan
from backbones.vision import ImageBackbone, ImageError, OutputStrideError

STRIDES = {  # of the course's backbones, shallow to deep, at output stride 32
    "resnet18": (2, 4, 8, 16, 32),
    "resnet50": (2, 4, 8, 16, 32),
    "resnet101": (2, 4, 8, 16, 32),
    "xception41": (2, 4, 8, 16, 32),
    "xception65": (2, 4, 8, 16, 32),
    "mobilenetv2_100": (2, 4, 8, 16, 32),
    "mobilenetv3_large_100": (2, 4, 8, 16, 32),
    "tf_efficientnet_lite0": (2, 4, 8, 16, 32),
    "tf_efficientnet_lite1": (2, 4, 8, 16, 32),
    "tf_efficientnet_lite2": (2, 4, 8, 16, 32),
    "vgg16": (1, 2, 4, 8, 16, 32),
    "convnext_tiny": (4, 8, 16, 32),
}
DILATABLE = [name for name in STRIDES if name != "vgg16"]
EACH_STRIDE = pytest.mark.parametrize(
    ("name", "output_stride"), [(name, 32) for name in STRIDES] + [(n, s) for n in DILATABLE for s in (16, 8)]
)


@cache
def shapes_only(name: str, output_stride: int) -> ImageBackbone:
    """A backbone without numbers: its forward pass works out shapes and nothing else."""
    with torch.device("meta"):
        backbone = create_backbone(name, output_stride=output_stride).eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.forward = lambda maps: maps  # changes no shape, and takes nine tenths of the time
    return backbone


@pytest.fixture
def small() -> ImageBackbone:
    """82 thousand random parameters, output stride 32."""
    torch.manual_seed(0)
    return create_backbone("test_efficientnet").eval()


@EACH_STRIDE
def test_strides_and_channels_are_as_declared(name, output_stride):
    backbone = shapes_only(name, output_stride)
    assert backbone.name == name
    assert backbone.output_stride == output_stride
    assert tuple(backbone.channels) == tuple(s for s in STRIDES[name] if s <= output_stride)
    for height, width in [(96, 97), (224, 129)]:
        features = backbone(torch.empty(2, 3, height, width, device="meta"))
        assert tuple(features) == tuple(backbone.channels)
        for stride, maps in features.items():
            assert maps.shape[:2] == (2, backbone.channels[stride])
            assert maps.shape[2] in {height // stride, ceil(height / stride)}, (stride, maps.shape)
            assert maps.shape[3] in {width // stride, ceil(width / stride)}, (stride, maps.shape)


@pytest.mark.parametrize(
    ("name", "channels"),
    [  # from the papers' tables of the architectures
        ("resnet101", {2: 64, 4: 256, 8: 512, 16: 1024, 32: 2048}),
        ("mobilenetv2_100", {2: 16, 4: 24, 8: 32, 16: 96, 32: 320}),
        ("vgg16", {1: 64, 2: 128, 4: 256, 8: 512, 16: 512, 32: 512}),
    ],
)
def test_channels_are_those_of_the_paper(name, channels):
    assert shapes_only(name, 32).channels == channels


@pytest.mark.parametrize("name", DILATABLE)
def test_with_dilation_the_deepest_of_each_stride_is_kept(name):
    deepest = shapes_only(name, 32).channels[32]
    assert shapes_only(name, 16).channels[16] == deepest
    assert shapes_only(name, 8).channels[8] == deepest


@pytest.mark.parametrize("name", DILATABLE)
def test_parameters_are_the_same_at_every_output_stride(name):
    def inventory(output_stride: int) -> dict[str, torch.Size]:
        return {key: value.shape for key, value in shapes_only(name, output_stride).state_dict().items()}

    assert inventory(32) == inventory(16) == inventory(8)


@pytest.mark.parametrize("output_stride", [16, 8])
def test_vgg_cannot_be_dilated_and_says_so(output_stride):
    with pytest.raises(OutputStrideError, match=r"'vgg16' can only be built with output_stride=32"):
        create_backbone("vgg16", output_stride=output_stride)


def test_a_model_that_starts_at_another_stride_says_which():
    with pytest.raises(OutputStrideError, match=r"'vit_tiny_patch16_224' can only .* output_stride=16"):
        create_backbone("vit_tiny_patch16_224", output_stride=8)


@pytest.mark.parametrize("output_stride", [4, 64, 0, 12, "16", None])
def test_an_impossible_output_stride_says_which_are_possible(output_stride):
    with pytest.raises(OutputStrideError, match=f"output_stride={output_stride!r} .* choose 32, 16 or 8"):
        create_backbone("resnet18", output_stride=output_stride)


# The atrous identity: leave out the stride, dilate what follows, and the same weights compute the same
# numbers, only at more positions. Chen et al., DeepLab (2016), section 3.1.

ATROUS = ["resnet18", "mobilenetv2_100", "tf_efficientnet_lite0", "xception65"]
ODD, EVEN = 65, 96  # every map on the way has an odd size, or an even one down to stride 16


@cache
def with_random_weights(name: str) -> ImageBackbone:
    """In double precision, so that 'equal' can be told from 'close'; batch norm must not be an identity."""
    torch.manual_seed(0)
    backbone = create_backbone(name).double().eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return backbone


def dilated_twin(name: str, output_stride: int) -> ImageBackbone:
    """The same weights at another output stride."""
    with torch.device("meta"):
        twin = create_backbone(name, output_stride=output_stride).eval()
    twin.load_state_dict(with_random_weights(name).state_dict(), assign=True)
    return twin


def noise(size: int) -> Tensor:
    return torch.randn(1, 3, size, size, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@cache
@torch.no_grad()
def original_map(name: str, size: int) -> Tensor:
    return with_random_weights(name)(noise(size))[32]


@torch.no_grad()
def differences(name: str, twin: ImageBackbone, size: int) -> dict[int, float]:
    """Phase -> largest difference between every n-th position of the twin and the original, relative."""
    original, dense = original_map(name, size), twin(noise(size))[twin.output_stride]
    step = 32 // twin.output_stride
    sampled = {phase: dense[..., phase::step, phase::step] for phase in range(step)}
    return {
        phase: float((maps - original).abs().max() / original.abs().max())
        for phase, maps in sampled.items()
        if maps.shape == original.shape
    }


@pytest.mark.parametrize("output_stride", [16, 8])
@pytest.mark.parametrize("name", ATROUS)
@pytest.mark.slow
def test_atrous_identity(name, output_stride):
    twin = dilated_twin(name, output_stride)
    assert differences(name, twin, ODD)[0] < 1e-12
    # TensorFlow pads even sizes on the right only, so a stride of 2 keeps the second of each two positions.
    phase = 32 // output_stride - 1 if name.startswith("tf_") else 0
    by_phase = differences(name, twin, EVEN)
    assert by_phase.pop(phase) < 1e-12
    assert len(by_phase) == 32 // output_stride - 1
    assert min(by_phase.values()) > 1e-6, "other positions hold other numbers"


@pytest.mark.parametrize("name", ["regnetx_002", "mnasnet_050", "convnext_atto"])
def test_atrous_identity_holds_for_more_families_at_any_size(name):
    twin = dilated_twin(name, 16)
    assert differences(name, twin, ODD)[0] < 1e-12
    assert differences(name, twin, EVEN)[0] < 1e-12


def test_atrous_identity_needs_whole_windows_where_shortcuts_average():
    twin = dilated_twin("resnet26d", 16)
    assert differences("resnet26d", twin, EVEN)[0] < 1e-12
    assert differences("resnet26d", twin, ODD)[0] > 1e-3


@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "gernet_s"])
def test_atrous_identity_is_not_to_be_had_from_every_family(name):
    assert min(differences(name, dilated_twin(name, 16), EVEN).values()) > 1e-3


@pytest.mark.parametrize("name", ATROUS)
@pytest.mark.slow
def test_atrous_identity_needs_the_rate(name):
    twin = dilated_twin(name, 16)
    for module in twin.modules():
        if isinstance(module, nn.Conv2d) and module.dilation == (2, 2):
            module.dilation = (1, 1)
            if module.padding != (0, 0):
                module.padding = (module.padding[0] // 2, module.padding[1] // 2)
    assert differences(name, twin, ODD)[0] > 1e-6


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
@torch.no_grad()
def test_dilation_leaves_the_shallow_maps_alone(name):
    expected, actual = with_random_weights(name)(noise(64)), dilated_twin(name, 8)(noise(64))
    for stride in (2, 4):
        assert torch.equal(actual[stride], expected[stride])


# What goes in


def test_mean_and_std_are_those_the_model_was_trained_with():
    lite, resnet = shapes_only("tf_efficientnet_lite0", 32), shapes_only("resnet50", 32)
    assert (lite.mean, lite.std) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert (resnet.mean, resnet.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_normalize_shifts_and_scales_each_channel(small):
    assert small.mean == (0.485, 0.456, 0.406)
    image = torch.tensor([0.485, 0.456 + 0.224, 1.0])[:, None, None].expand(3, 2, 2)
    expected = torch.tensor([0.0, 1.0, (1 - 0.406) / 0.225])[:, None, None].expand(3, 2, 2)
    torch.testing.assert_close(small.normalize(image), expected)
    torch.testing.assert_close(small.normalize(image[None]), expected[None])


def test_normalize_takes_bytes_and_floats_alike(small):
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    untouched = images.clone()
    torch.testing.assert_close(small.normalize(images), small.normalize(images / 255))
    assert torch.equal(images, untouched)


def test_normalize_makes_images_as_precise_as_the_weights(small):
    """Arrays from numpy are float64; whoever normalizes them can pass them on."""
    images = torch.rand(1, 3, 32, 32)
    for given in (images.double(), images.half()):
        normalized = small.normalize(given)
        torch.testing.assert_close(normalized, small.normalize(images), rtol=1e-2, atol=1e-2)
        small(normalized)
    half = small.bfloat16()
    assert half.normalize(images.double()).dtype == torch.bfloat16
    assert half(half.normalize(images))[32].dtype == torch.bfloat16


RGB = torch.rand(1, 3, 32, 32)


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (RGB * 255, r"range from \d\.\d to 25\d\.\d, not from 0 to 1: divide 0\.\.255 by 255 first or pass"),
        ((RGB - 0.5) / 0.2, "do not normalize twice"),
        ((RGB * 255).long(), r"these images are torch\.int64: pass uint8 in 0\.\.255 or float in \[0, 1\]"),
        (RGB[:, :1], r"expected 3 channels .* \(1, 1, 32, 32\)\. For gray images repeat the channel: "),
        (RGB[0, :1], r"images\.expand\(3, -1, -1\)"),
        (RGB.movedim(1, -1), r"\(1, 32, 32, 3\)\. The channels come last here: images\.movedim\(-1, -3\)"),
        (RGB[0, 0], r"expected 3 channels \(B, 3, H, W\), got shape \(32, 32\)"),
        (RGB.numpy(), r"got numpy\.ndarray: torch\.from_numpy\(array\)"),
        (
            Image.new("RGB", (8, 8)),
            r"got PIL\..*Image: torchvision\.transforms\.v2\.functional\.pil_to_tensor",
        ),
        ([RGB], "got list: pass a tensor"),
        (None, "got NoneType: pass a tensor"),
    ],
)
def test_normalize_says_what_is_wrong(small, images, advice):
    with pytest.raises(ImageError, match=advice):
        small.normalize(images)


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        ((RGB * 255).byte(), r"uint8 \(0\.\.255\): pass them through backbone\.normalize\(images\) first"),
        (
            (RGB * 255).long(),
            r"these are torch\.int64: if they go from 0 to 255, backbone\.normalize\(images\.to\(torch\.uint8\)\)",
        ),
        (RGB[0], r"\(B, 3, H, W\), got shape \(3, 32, 32\); add the batch dimension with images\[None\]"),
        (RGB[0, 0], r"a batch of images \(B, 3, H, W\), got shape \(32, 32\)\."),
        (RGB[:, :1], r"For gray images repeat the channel: images\.expand\(-1, 3, -1, -1\)"),
        (RGB.movedim(1, -1), r"The channels come last here: images\.movedim\(-1, -3\)"),
        (RGB.repeat(1, 2, 1, 1), r"expected 3 channels \(B, 3, H, W\), got shape \(1, 6, 32, 32\)\."),
        (RGB.double(), r"torch\.float64, the weights torch\.float32: use images\.to\(backbone\.dtype\)"),
        (RGB.half(), r"torch\.float16, the weights torch\.float32"),
        (RGB.numpy(), r"got numpy\.ndarray: torch\.from_numpy\(array\)"),
        (Image.new("RGB", (8, 8)), "pil_to_tensor"),
        (None, "got NoneType"),
        ([], "a list of image tensors .* got an empty list"),
        ([RGB], r"a list of image tensors \(3, H, W\), got \(1, 3, 32, 32\)"),
        ([RGB[0].numpy()], "a list of image tensors"),
        ([None], "a list of image tensors .* got NoneType"),
        (torch.tensor([]), r"a batch of images \(B, 3, H, W\), got shape \(0,\)"),
        (RGB[..., :0], "no pixels in images of shape"),
    ],
)
def test_forward_says_what_is_wrong(small, images, advice):
    with pytest.raises(ImageError, match=advice):
        small(images)


def test_the_advice_works(small):
    """What the messages tell a learner to type."""
    for gray in (RGB[:, :1].expand(-1, 3, -1, -1), RGB[0, :1].expand(3, -1, -1)[None]):
        small(small.normalize(gray))
    small(RGB.double().to(small.dtype))
    small(small.normalize(torch.from_numpy(RGB.numpy())))
    small(small.normalize(pil_to_tensor(Image.new("RGB", (32, 32))))[None])
    last = RGB.movedim(1, -1)
    assert torch.equal(last.movedim(-1, -3), RGB)
    assert torch.equal(last[0].movedim(-1, -3), RGB[0])


@torch.no_grad()
def test_under_autocast_images_may_be_less_precise_than_the_weights(small):
    half = RGB.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert small(half)[32].dtype == torch.bfloat16
    with torch.device("meta"), pytest.raises(ImageError, match=r"the weights torch\.float32"):
        create_backbone("test_resnet")(torch.empty(1, 3, 32, 32, dtype=torch.float64))


@torch.no_grad()
def test_a_list_of_images_becomes_one_batch_with_a_mask(small):
    images = [torch.rand(3, 33, 20), torch.rand(3, 10, 40)]
    features = small(images)
    assert features.size == (64, 64)
    assert features[32].shape == (2, small.channels[32], 2, 2)
    for mask, image in zip(features.mask, images, strict=True):
        height, width = image.shape[1:]
        assert mask[:height, :width].all()
        assert mask.sum() == height * width
    assert features.mask_at(32).tolist() == [[[True, False], [True, False]], [[True, True], [False, False]]]
    whole = small(torch.rand(1, 3, 33, 64))
    assert whole.mask is None
    assert whole.mask_at(32) is None
    assert whole.size == (33, 64)


# Sizes that a model cannot take


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "size", "advice"),
    [
        ("swin_tiny_patch4_window7_224", (96, 96), "to 224x224"),  # its positions are numbered
        ("dla34", (96, 129), "to 96x128 or 96x160"),  # adds maps that have to be equally large
        ("hrnet_w18_small", (96, 129), "to 96x128"),
        ("mobilevitv2_050", (224, 224), "to 256x256"),  # would answer with 8 positions in place of 7
        ("botnet26t_256", (224, 224), "to 256x256"),
    ],
)
def test_a_size_that_does_not_work_names_some_that_do(name, size, advice):
    backbone = shapes_only(name, 32)
    with pytest.raises(
        ImageError, match=f"cannot take images of {size[0]}x{size[1]} pixels: .*{advice}"
    ) as error:
        backbone(torch.empty(1, 3, *size, device="meta"))
    for height, width in re.findall(r"(\d+)x(\d+)", str(error.value).partition("pad them")[2]):
        assert check_backbone(backbone, torch.empty(1, 3, int(height), int(width), device="meta")) == []


def test_an_error_that_is_not_about_the_size_stays_what_it_is(small):
    small.body.conv_stem.forward = lambda images: 1 / 0
    with pytest.raises(ZeroDivisionError):
        small(RGB)
    small.body.conv_stem.forward = lambda images: images @ torch.rand(3, 3)
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied|size mismatch|must match"):
        small(RGB)


@pytest.mark.parametrize("name", ["inception_v3", "pit_ti_224", "pit_s_224"])
def test_a_model_whose_maps_never_lie_at_their_strides_is_refused(name):
    with pytest.raises(
        BackboneError, match=r"cannot serve as a backbone, its maps do not lie at their strides"
    ):
        create_backbone(name)


def test_channels_are_those_of_the_maps_where_timm_declares_others():
    declared = timm.create_model("vitamin_small_224", features_only=True).feature_info.channels()
    backbone = create_backbone("vitamin_small_224", output_stride=16).eval()
    assert list(backbone.channels.values()) != declared
    assert check_backbone(backbone, torch.rand(1, 3, 224, 224)) == []


@pytest.mark.parametrize(
    ("name", "output_stride"), [("xception71", 8), ("gernet_l", 16), ("botnet26t_256", 16)]
)
def test_an_output_stride_that_changes_the_parameters_is_refused(name, output_stride):
    with pytest.raises(OutputStrideError, match=rf"{name}' can only be built with output_stride=32"):
        create_backbone(name, output_stride=output_stride)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *(
            "test_resnet",
            "resnet26d",
            "mobilenetv3_small_050",
            "convnext_atto",
            "regnetx_002",
            "ghostnet_050",
        ),
        *("efficientnet_b0", "densenet121", "vgg11", "mobilevit_xxs", "swin_tiny_patch4_window7_224"),
        *("vit_tiny_patch16_224", "maxvit_tiny_tf_224", "nasnetalarge", "repvgg_a0", "hgnetv2_b0", "dla34"),
    ],
)
def test_a_sample_of_timm_keeps_the_contract_or_says_why_not(name):
    """benchmarks/contract.py does this for all 1,371 names."""
    with torch.device("meta"):
        for stride in output_strides(name) or [16]:
            assert check_backbone(create_backbone(name, output_stride=stride)) == []


# Training


def test_one_small_image_is_too_little_to_train_on_and_is_told_so():
    backbone = create_backbone("test_resnet").train()
    with pytest.raises(BatchError, match="more images per batch"):
        backbone(torch.rand(1, 3, 32, 32))
    backbone(torch.rand(2, 3, 32, 32))
    backbone.eval()(torch.rand(1, 3, 32, 32))


# What comes out


def test_features_are_timm_s(small):
    """The maps are those of timm's whole classifier, stage by stage."""
    whole = timm.create_model("test_efficientnet").eval()
    whole.load_state_dict(small.body.state_dict(), strict=False)
    images = small.normalize(RGB)
    expected = whole.forward_intermediates(images, intermediates_only=True)
    for ours, theirs in zip(small(images).values(), expected, strict=True):
        assert torch.equal(ours, theirs)


@torch.no_grad()
def test_features_repeat_and_do_not_depend_on_the_neighbors(small):
    images = torch.rand(3, 3, 64, 64)
    first, again, alone = small(images), small(images), small(images[1:2])
    for stride in small.channels:
        assert torch.equal(first[stride], again[stride])
        torch.testing.assert_close(alone[stride], first[stride][1:2], rtol=1e-4, atol=1e-5)


def test_gradients_reach_every_parameter_and_the_image(small):
    images = torch.rand(2, 3, 64, 64, requires_grad=True)
    small(images)[32].sum().backward()
    assert images.grad.abs().sum() > 0
    without = [name for name, p in small.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_channels_come_first_even_where_timm_puts_them_last():
    backbone = shapes_only("swin_tiny_patch4_window7_224", 32)
    features = backbone(torch.empty(1, 3, 224, 224, device="meta"))
    assert {stride: tuple(maps.shape[1:]) for stride, maps in features.items()} == {
        4: (96, 56, 56),
        8: (192, 28, 28),
        16: (384, 14, 14),
        32: (768, 7, 7),
    }


def test_random_weights_differ_from_one_backbone_to_the_next():
    def first_weights() -> Tensor:
        return next(create_backbone("test_efficientnet").parameters())

    assert not torch.equal(first_weights(), first_weights())
    torch.manual_seed(3)
    once = first_weights()
    torch.manual_seed(3)
    assert torch.equal(first_weights(), once)


class Numbers(TorchDispatchMode):
    """Notes operations that would only change numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen |= {name for name in ("normal_", "uniform_", "batch_norm") if name in str(function)}
        return function(*args, **(kwargs or {}))


def test_shapes_are_tried_out_without_numbers():
    """torch works out both in Python there: most of the time until lesson 00 draws its first picture."""
    plan.cache_clear()
    _twin.cache_clear()
    with Numbers() as numbers, torch.device("meta"):
        create_backbone("resnet18", output_stride=16)
    assert numbers.seen <= {"uniform_"}, "the classifier's bias, which timm throws away, may stay"


def test_numbers_that_are_there_are_drawn():
    """Leaving out is for the meta device alone."""
    torch.manual_seed(0)
    expected = timm.create_model("resnet18", features_only=True).state_dict()
    torch.manual_seed(0)
    made = create_backbone("resnet18").body.state_dict()
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], expected[name]) for name in expected)
