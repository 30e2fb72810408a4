"""Heads: shapes, what they compute by hand, and the ImageNet head against timm's whole classifier."""

import pytest
import timm
import torch

from backbones import Network, create_backbone
from backbones.backbone import ByStride
from backbones.heads import ClassificationHead, ImageNetHead
from backbones.weights import BUNDLED, WeightsMissingError, imagenet_weights


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


@pytest.mark.parametrize("name", BUNDLED)
@torch.no_grad()
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
