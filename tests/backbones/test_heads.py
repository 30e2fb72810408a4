"""Heads: shapes, what they compute by hand, and against timm's classifier and torchvision's detector."""

import copy
import hashlib

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS

from backbones import Backbone, BackboneError, Network, create_backbone
from backbones.backbone import ByStride, Features, StrideError
from backbones.heads import (
    ClassificationHead,
    Detector,
    FeaturePyramid,
    ImageNetHead,
    PositionHead,
    SegmentationHead,
)
from backbones.measure.cost import count_parameters
from backbones.vision import ImageError
from backbones.weights import BUNDLED, WeightsMissingError, imagenet_weights

# ---- Classification ------------------------------------------------------------------------------


@pytest.mark.parametrize("output_stride", [32, 16])
def test_classification_head_takes_the_deepest_map_of_any_backbone(output_stride):
    backbone = create_backbone("test_efficientnet", output_stride=output_stride)
    head = ClassificationHead(backbone.channels, num_classes=7)
    assert head.stride == output_stride
    for size in (32, 65):
        assert Network(backbone, head)(torch.rand(2, 3, size, size)).shape == (2, 7)


def test_classification_head_is_average_pooling_and_a_linear_layer():
    head = ClassificationHead(ByStride({8: 3, 16: 2}), num_classes=2)
    with torch.no_grad():
        head.classifier.weight.copy_(torch.tensor([[1.0, 2.0], [0.0, -1.0]]))
        head.classifier.bias.copy_(torch.tensor([10.0, 20.0]))
    deepest = torch.tensor([[[[0.0, 2.0], [4.0, 6.0]], [[1.0, 1.0], [1.0, 5.0]]]])  # averages 3 and 2
    logits = head(ByStride({8: torch.full((1, 3, 4, 4), torch.nan), 16: deepest}))
    torch.testing.assert_close(logits, torch.tensor([[3 + 2 * 2 + 10.0, -2 + 20.0]]))


def test_dropout_drops_in_training_only_and_not_by_default():
    torch.manual_seed(0)
    features = ByStride({4: torch.rand(1, 1000, 2, 2) + 1})
    head = ClassificationHead(ByStride({4: 1000}), num_classes=1, dropout=0.75)
    nn.init.ones_(head.classifier.weight)
    pooled = features[4].mean(dim=(2, 3))
    dropped = []
    head.dropout.register_forward_hook(lambda part, inputs, output: dropped.append(output))
    trained = head(features)
    assert not torch.allclose(trained, head(features))
    assert (dropped[0] == 0).float().mean() == pytest.approx(0.75, abs=0.05)
    torch.testing.assert_close(head.eval()(features)[0, 0], pooled.sum() + head.classifier.bias[0])
    plain = ClassificationHead(ByStride({4: 1000}), num_classes=1)
    assert torch.equal(plain.train()(features), plain(features))


@pytest.mark.parametrize("name", BUNDLED)
@torch.no_grad()
@pytest.mark.slow
def test_backbone_and_imagenet_head_are_timm_s_whole_classifier(name):
    network = Network(create_backbone(name, weights="imagenet"), ImageNetHead(name)).eval()
    whole = timm.create_model(name).eval()
    whole.load_state_dict(imagenet_weights(name))
    assert sum(value.numel() for value in network.state_dict().values()) == sum(
        value.numel() for value in whole.state_dict().values()
    )
    images = network.backbone.normalize(torch.rand(2, 3, 96, 96))
    logits = network(images)
    assert logits.shape == (2, 1000)
    torch.testing.assert_close(logits, whole(images), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_imagenet_head_works_at_another_output_stride():
    """More positions are averaged, with nearly the same result."""
    torch.manual_seed(0)
    head = ImageNetHead("tf_efficientnet_lite0").eval()
    images = torch.rand(1, 3, 64, 64).repeat_interleave(2, 2).repeat_interleave(2, 3) * 2 - 1
    by_stride = [
        head(create_backbone("tf_efficientnet_lite0", "imagenet", output_stride=s).eval()(images))
        for s in (32, 16)
    ]
    assert torch.corrcoef(torch.cat(by_stride))[0, 1] > 0.5
    assert not torch.allclose(*by_stride)


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite3"])
def test_imagenet_head_of_a_model_without_bundled_weights_says_which_have_them(name):
    with pytest.raises(
        WeightsMissingError, match=rf"'{name}' came with the course, only .*lite0.*lite1.*lite2"
    ):
        ImageNetHead(name)


# ---- Segmentation --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0"])
@pytest.mark.parametrize("strides", [(), (32, 16, 8)])
@torch.no_grad()
def test_a_segmentation_network_answers_for_every_pixel_whatever_the_size(name, strides):
    backbone = create_backbone(name)
    network = Network(backbone, SegmentationHead(backbone.channels, 5, strides)).eval()
    for height, width in ((1, 1), (33, 64), (65, 97)):
        assert network(torch.rand(1, 3, height, width)).shape == (1, 5, height, width)
    assert network(torch.rand(0, 3, 32, 32)).shape == (0, 5, 32, 32)


def test_a_segmentation_head_scores_the_deepest_map_of_any_output_stride():
    for output_stride in (32, 8):
        backbone = create_backbone("test_efficientnet", output_stride=output_stride)
        head = SegmentationHead(backbone.channels, num_classes=5)
        assert head.strides == (output_stride,)
        size = (64 // output_stride, 96 // output_stride)
        features = backbone(torch.rand(2, 3, 64, 96))
        assert features[output_stride].shape[2:] == size
        assert head(features).shape == (2, 5, 64, 96)


def test_a_segmentation_head_is_the_classification_head_without_pooling():
    channels = ByStride({4: 6, 8: 10})
    classify, segment = ClassificationHead(channels, 3), SegmentationHead(channels, 3)
    with torch.no_grad():
        segment.classifiers["8"].load_state_dict(classify.classifier.state_dict())
    maps = {4: torch.full((2, 6, 8, 8), torch.nan), 8: torch.randn(2, 10, 4, 4)}
    features = Features(maps, size=(4, 4))  # as large as the map: nothing is enlarged
    torch.testing.assert_close(segment(features).mean(dim=(2, 3)), classify(features))


def test_scores_of_several_strides_are_enlarged_and_added():
    """FCN-16s by hand, on one row of pixels: bilinear interpolation puts 0 and 8 at 0, 2, 6, 8."""
    head = SegmentationHead(ByStride({2: 1, 4: 1}), num_classes=1, strides=(2, 4))
    for layer, weight in zip(head.classifiers.values(), (10.0, 1.0), strict=True):  # the coarse one first
        nn.init.constant_(layer.weight, weight)
        nn.init.zeros_(layer.bias)
    fine, coarse = torch.tensor([[[[1.0, 2.0, 3.0, 4.0]]]]), torch.tensor([[[[0.0, 0.8]]]])
    scores = head(Features({2: fine, 4: coarse}, size=(1, 4)))
    torch.testing.assert_close(scores, torch.tensor([[[[1.0, 4.0, 9.0, 12.0]]]]))


def test_the_input_s_size_is_reached_by_linear_interpolation():
    head = PositionHead(ByStride({2: 1}), num_classes=1)
    nn.init.ones_(head.classifiers["2"].weight)
    nn.init.zeros_(head.classifiers["2"].bias)
    expected = [0.0, 2.0, 6.0, 8.0]
    pixels = Features({2: torch.tensor([[[[0.0, 8.0]]]])}, size=(1, 4))
    torch.testing.assert_close(head(pixels), torch.tensor([[[expected]]]))
    sound = Features({2: torch.tensor([[[0.0, 8.0]]])}, size=(4,))
    torch.testing.assert_close(head(sound), torch.tensor([[expected]]))


def test_one_head_answers_for_pixels_tokens_and_nodes():
    """A pixel, a token and a node with the same features get the same answer."""
    torch.manual_seed(0)
    head = PositionHead(ByStride({1: 5}), num_classes=3)
    nodes = torch.randn(12, 5)
    tokens = nodes.T.reshape(1, 5, 12)
    pixels = nodes.T.reshape(1, 5, 3, 4)
    answers = head(Features({1: nodes}, size=(12,)))
    assert answers.shape == (12, 3)
    torch.testing.assert_close(head(Features({1: tokens}, size=(12,))), answers.T[None])
    torch.testing.assert_close(head(Features({1: pixels}, size=(3, 4))).flatten(2), answers.T[None])
    answers.sum().backward()
    assert head.classifiers["1"].weight.grad is not None


def test_padding_does_not_count_in_the_average():
    head = ClassificationHead(ByStride({1: 1}), 1)
    nn.init.ones_(head.classifier.weight)
    nn.init.zeros_(head.classifier.bias)
    tokens = torch.tensor([[[1.0, 3.0, 100.0]], [[2.0, 4.0, 9.0]]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    assert head(Features({1: tokens}, (3,), mask)).flatten().tolist() == [2.0, 5.0]
    assert head(Features({1: tokens}, (3,))).flatten().tolist() == pytest.approx([104 / 3, 5.0])


def test_features_without_a_size_are_refused_in_words():
    head = PositionHead(ByStride({2: 1}), num_classes=1)
    for maps in ({2: torch.rand(1, 1, 2, 2)}, Features({2: torch.rand(1, 1, 2, 2)})):
        with pytest.raises(
            BackboneError, match=r"given a \w+ that does not say .* return Features\(maps, size="
        ):
            head(maps)


def test_a_segmentation_head_for_a_stride_that_is_missing_says_which_there_are():
    backbone = create_backbone("test_efficientnet", output_stride=16)
    with pytest.raises(StrideError, match=r"no feature map at stride 32: .* strides 2, 4, 8, 16"):
        SegmentationHead(backbone.channels, 5, strides=(32, 16))


# ---- Detection -----------------------------------------------------------------------------------


def target(boxes: list[list[float]], labels: list[int]) -> dict[str, Tensor]:
    return {"boxes": torch.tensor(boxes), "labels": torch.tensor(labels)}


NOTHING = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
TARGETS = [target([[4, 8, 40, 30.0], [20, 20, 60, 60]], [1, 3]), NOTHING]


@pytest.fixture
def detector() -> Detector:
    torch.manual_seed(0)
    made = Detector(create_backbone("test_efficientnet"), num_classes=4)
    # Fresh heads are built to find next to nothing; these find a lot.
    nn.init.normal_(made.head.head.classification_head.cls_logits.weight, std=0.5)
    nn.init.zeros_(made.head.head.classification_head.cls_logits.bias)
    return made.eval()


@pytest.mark.parametrize("name", ["resnet18", "tf_efficientnet_lite0", "mobilenetv2_100", "convnext_tiny"])
@pytest.mark.slow
def test_a_detector_stands_on_any_backbone(name):
    torch.manual_seed(0)
    backbone = create_backbone(name)
    detector = Detector(backbone, num_classes=4)
    losses = detector(torch.rand(2, 3, 64, 64), TARGETS)
    assert set(losses) == {"classification", "bbox_regression", "bbox_ctrness"}
    sum(losses.values()).backward()
    for part in (backbone, detector.neck, detector.head):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    assert all(p.grad is None or p.grad.isfinite().all() for p in detector.parameters())
    detector.eval().head.score_thresh = 0.0
    with torch.no_grad():
        found = detector(torch.rand(2, 3, 64, 64))
    for image in found:
        assert image["boxes"].shape == (100, 4)
        assert image["labels"].shape == image["scores"].shape == (100,)


@torch.no_grad()
def test_it_is_torchvision_s_fcos(detector):
    """Torchvision's model of the same parts, at 128 pixels, where all maps have exactly their strides."""
    pyramid = nn.Sequential(detector.backbone, detector.neck)
    pyramid.out_channels = 64
    whole = FCOS(
        pyramid,
        num_classes=4,
        head=detector.head.head,
        anchor_generator=detector.head.anchor_generator,
        min_size=128,
        max_size=128,
        image_mean=[0.0] * 3,
        image_std=[1.0] * 3,
    ).eval()
    images = torch.randn(2, 3, 128, 128)
    ours, theirs = detector(images), whole(list(images))
    assert all(len(image["boxes"]) > 10 for image in ours)
    for our, their in zip(ours, theirs, strict=True):
        assert all(torch.equal(our[key], their[key]) for key in ("boxes", "labels", "scores"))
    # Torchvision gives losses in training mode only; the parts keep their eval mode.
    whole.training = True
    theirs = whole(list(images), TARGETS)
    ours = detector(images, TARGETS)
    assert {key: loss.item() for key, loss in ours.items()} == {k: v.item() for k, v in theirs.items()}
    assert all(loss > 0 for loss in ours.values())


@torch.no_grad()
def test_targets_decide_what_a_detector_answers_and_not_its_mode(detector):
    images = torch.rand(2, 3, 64, 64)
    for mode in (True, False):
        assert isinstance(detector.train(mode)(images), list)
        assert isinstance(detector(images, TARGETS), dict)


def test_a_detector_is_a_network_whose_head_has_a_neck(detector):
    parts = (detector.backbone, detector.neck, detector.head.head)
    assert sum(map(count_parameters, parts)) == count_parameters(detector)
    assert {key.partition(".")[0] for key in detector.state_dict()} == {"backbone", "head"}
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        ours, by_hand = detector(images), detector.head(detector.backbone(images))
    assert len(ours[0]["boxes"]) > 0
    assert all(torch.equal(a[key], b[key]) for a, b in zip(ours, by_hand, strict=True) for key in a)
    assert not hasattr(detector.head, "transform"), "torchvision's would resize and normalize"


@torch.no_grad()
def test_images_of_several_sizes_are_a_list_and_boxes_stay_inside_their_image(detector):
    images = [torch.rand(3, 50, 81), torch.rand(3, 64, 96), torch.rand(3, 1, 1)]
    found = detector(images)
    for image, answer in zip(images, found, strict=True):
        height, width = image.shape[1:]
        assert len(answer["boxes"]) > 0
        assert (answer["boxes"] >= 0).all()
        assert (answer["boxes"] <= torch.tensor([width, height, width, height])).all()
    # What is filled up changes nothing for an image that needs no filling.
    torch.testing.assert_close(
        found[1], detector(images[1][None])[0], rtol=1e-5, atol=1e-4
    )  # of up to 96 pixels


@torch.no_grad()
def test_the_backbone_sees_whole_multiples_of_its_stride_filled_up_with_zeros(detector):
    seen = []
    detector.backbone.body.register_forward_pre_hook(lambda part, inputs: seen.append(inputs[0]))
    detector([torch.ones(3, 33, 20), torch.ones(3, 10, 40)])
    (batch,) = seen
    assert batch.shape == (2, 3, 64, 64)
    assert batch[0, :, :33, :20].all()
    assert batch[1, :, :10, :40].all()
    assert batch.sum() == 3 * (33 * 20 + 10 * 40)


def test_squares_are_as_far_apart_as_the_stride_says(detector):
    """At 96 pixels torchvision's own models put the two positions of stride 64 at 0 and 48."""
    maps = detector.neck(detector.backbone(torch.rand(1, 3, 96, 96)))
    assert {stride: one.shape[1:] for stride, one in maps.items()} == {
        8: (64, 12, 12),
        16: (64, 6, 6),
        32: (64, 3, 3),
        64: (64, 2, 2),
        128: (64, 1, 1),
    }
    squares = detector.head._squares(maps)
    centers, sides = (squares[:, :2] + squares[:, 2:]) / 2, squares[:, 2] - squares[:, 0]
    assert centers[sides == 64].tolist() == [[0, 0], [64, 0], [0, 64], [64, 64]]
    assert centers[sides == 8][[0, 1, 12, -1]].tolist() == [[0, 0], [8, 0], [0, 8], [88, 88]]


def test_images_without_objects_train(detector):
    losses = detector(torch.rand(1, 3, 64, 64), [NOTHING])
    assert losses["classification"] > 0
    assert losses["bbox_regression"] == losses["bbox_ctrness"] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in detector.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (target([[1, 1, 9, 9.0], [5, 2, 5, 9]], [1, 1]), r"image 1 .* without area, \[5.0, 2.0, 5.0, 9.0\]"),
        (target([[5, 9, 8, 2.0]], [1]), r"without area, .* x1 < x2 and y1 < y2"),
        (target([[1, 1, 9, float("nan")]], [1]), "image 1 holds a number that is not finite"),
        (target([[1, 1, 9, float("inf")]], [1]), "image 1 holds a number that is not finite"),
        (target([[0.1, 0.1, 0.5, 0.9]], [1]), r"image 1 lie between 0 and 1, .* counted in pixels"),
        (target([[1, 1, 9, 9.0]], [1.0]), r"labels of image 1 are torch.float32, .* use .long\(\)"),
        (target([[1, 1, 9, 9.0]], [True]), r"labels of image 1 are torch.bool"),
        ({"boxes": [[1, 1, 9, 9]], "labels": torch.tensor([1])}, r"boxes of image 1 are a list: .*as_tensor"),
        (target([[1, 1, 9, 9.0]], [4]), "image 1 has label 4, but labels go from 1 to 3"),
        (target([[1, 1, 9, 9.0]], [0]), "has label 0, .* counts the background as class 0"),
        (target([[1, 1, 9, 9.0]], [-1]), "label -1"),
        (target([[1, 1, 9, 9.0]], [1, 2]), r"shape \(1, 4\) and labels of shape \(2,\)"),
        (target([], []), r"shape \(0,\) .* and \(0, 4\) and \(0,\) without objects"),
    ],
)
def test_a_target_that_cannot_be_meant_is_named(detector, wrong, message):
    with pytest.raises(ValueError, match=message):
        detector(torch.rand(2, 3, 64, 64), [TARGETS[0], wrong])


def test_wrong_images_are_refused_in_words(detector):
    with pytest.raises(ImageError, match=r"gray images repeat the channel"):
        detector(torch.rand(2, 1, 64, 64))
    with pytest.raises(ImageError, match=r"uint8 .* backbone.normalize"):
        detector([torch.zeros(3, 64, 64, dtype=torch.uint8)])
    with pytest.raises(ImageError, match=r"different channels: .*\(3, 8, 8\), \(1, 8, 8\)"):
        detector([torch.rand(3, 8, 8), torch.rand(1, 8, 8)])
    with pytest.raises(ImageError, match=r"expected a batch of images .* \(3, 3, 64\)"):
        detector(torch.rand(3, 3, 64))
    with pytest.raises(ValueError, match="2 images came with 1 targets"):
        detector(torch.rand(2, 3, 64, 64), TARGETS[:1])


@pytest.mark.parametrize("boxes", [torch.float64, torch.float16, torch.int64])
@pytest.mark.parametrize("labels", [torch.uint8, torch.int32])
def test_targets_of_other_number_types_train_alike(detector, boxes, labels):
    """Six steps, because float64 boxes are harmless until a found one first overlaps a real one."""

    def losses(*types: torch.dtype) -> list[float]:
        made = Detector(copy.deepcopy(detector.backbone), num_classes=4)
        made.load_state_dict(detector.state_dict())
        given = [{"boxes": t["boxes"].to(types[0]), "labels": t["labels"].to(types[1])} for t in TARGETS]
        optimizer = torch.optim.AdamW(made.parameters(), 1e-3)
        generator, found = torch.Generator().manual_seed(0), []
        for _ in range(6):
            loss = sum(made(torch.rand(2, 3, 64, 64, generator=generator), given).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    assert losses(boxes, labels) == losses(torch.float32, torch.int64)


def test_labels_of_an_image_without_objects_are_whole_numbers_too(detector):
    """torch.tensor([]) is float: later code would fail on it, in words that help nobody."""
    empty = {"boxes": torch.empty(0, 4), "labels": torch.tensor([])}
    with pytest.raises(ValueError, match=r"labels of image 0 are torch.float32, .* use .long\(\)"):
        detector(torch.rand(1, 3, 64, 64), [empty])
    advised = {"boxes": torch.empty(0, 4), "labels": torch.tensor([]).long()}
    assert detector(torch.rand(1, 3, 64, 64), [advised])["bbox_regression"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "num_classes=1 leaves no class beside the background"),
        ({"num_classes": 3, "width": 80}, "width=80 does not fit the head's 32 groups"),
        ({"num_classes": 3, "width": 32}, "width=32"),
    ],
)
def test_impossible_detectors_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Detector(create_backbone("test_efficientnet"), **options)


def test_the_pyramid_carries_what_deep_maps_know_to_fine_ones_and_not_back():
    torch.manual_seed(0)
    channels = ByStride({4: 3, 8: 5, 16: 7, 32: 9})
    neck = FeaturePyramid(channels, width=16)
    features = ByStride({s: torch.randn(1, c, 64 // s, 64 // s) for s, c in channels.items()})
    before = neck(features)
    assert {s: one.shape for s, one in before.items()} == {
        s: (1, 16, max(1, 64 // s), max(1, 64 // s)) for s in (8, 16, 32, 64, 128)
    }

    def reached_from(stride: int) -> set[int]:
        after = neck(ByStride(features | {stride: features[stride] + 1}))
        return {s for s, one in after.items() if not torch.equal(one, before[s])}

    assert reached_from(32) == {8, 16, 32, 64, 128}
    assert reached_from(16) == {8, 16}
    assert reached_from(8) == {8}
    assert reached_from(4) == set()


def test_a_pyramid_takes_the_strides_that_there_are():
    assert FeaturePyramid(ByStride({4: 2, 16: 4})).strides == (16, 32, 64)
    backbone = create_backbone("test_efficientnet", output_stride=16)
    detector = Detector(backbone, num_classes=4)
    assert detector.neck.strides == (8, 16, 32, 64)
    assert set(detector(torch.rand(1, 3, 40, 40), TARGETS[:1])) > {"classification"}
    with pytest.raises(BackboneError, match="only strides 2, 4: choose another backbone"):
        FeaturePyramid(ByStride({2: 2, 4: 4}))


# ---- Swapping ------------------------------------------------------------------------------------


def checksum(module: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        digest.update(key.encode() + value.numpy().tobytes())
    return digest.hexdigest()


def test_swapping_the_head_leaves_every_number_of_the_backbone_as_it_is():
    backbone: Backbone = create_backbone("test_efficientnet").eval()
    before = checksum(backbone)
    networks = [
        Network(backbone, ClassificationHead(backbone.channels, 6)),
        Network(backbone, SegmentationHead(backbone.channels, 7)),
        Detector(backbone, 7),
    ]
    for network in networks:
        assert network.backbone is backbone
        network(torch.rand(1, 3, 64, 64))
        assert checksum(network.backbone) == before
    with torch.no_grad():
        next(backbone.parameters()).view(-1)[0] += 1
    assert checksum(backbone) != before, "the checksum sees a single number"
