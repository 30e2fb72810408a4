"""The contract: names, the registry, a network's two parts, and what a missing stride says."""

import pytest
import torch
from torch import nn

import backbones
from backbones import Backbone, BackboneError, Network, backbone_names, create_backbone, register
from backbones import backbone as contract
from backbones.backbone import ByStride, StrideError, UnknownBackboneError


@pytest.fixture
def own_registry(monkeypatch):
    """Whatever a test registers is forgotten afterwards."""
    monkeypatch.setattr(contract, "_builders", dict(contract._builders))


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("resnet_50", "resnet50"),
        ("ResNet101", "resnet101"),
        ("mobilenet_v2_100", "mobilenetv2_100"),
        ("efficientnet_lite00", "efficientnet_lite0"),
        ("resnet50.a1_in1k", "resnet50"),  # timm's spelling of a model with its weights
    ],
)
def test_an_unknown_name_lists_the_nearest(wrong, meant):
    with pytest.raises(UnknownBackboneError) as error:
        create_backbone(wrong)
    question = str(error.value).partition("did you mean ")[2].rstrip("?")
    assert repr(wrong) in str(error.value)
    assert meant in question.split(" or ")
    assert set(question.split(" or ")) <= set(backbone_names())


def test_a_name_unlike_any_other_says_where_the_names_are():
    with pytest.raises(UnknownBackboneError, match=r"'qqqq'.*backbone_names\(\) lists all names"):
        create_backbone("qqqq")


def test_names_are_sorted_and_include_the_course_s():
    names = backbone_names()
    assert names == sorted(set(names))
    assert {"resnet101", "xception65", "mobilenetv2_100", "tf_efficientnet_lite0"} <= set(names)


class Stripes(Backbone):
    """Somebody's own backbone: averages over rows of patches."""

    def __init__(self, weights=None, patch=4):
        super().__init__()
        self.name = "stripes"
        self.weights = weights
        self.patch = patch
        self.channels = ByStride({patch: 3})

    def forward(self, images):
        return ByStride({self.patch: nn.functional.avg_pool2d(images, self.patch)})


@pytest.mark.usefixtures("own_registry")
def test_register_makes_an_own_backbone_creatable_with_its_options():
    with pytest.raises(UnknownBackboneError):
        create_backbone("stripes")
    register("stripes", Stripes)
    backbone = create_backbone("stripes", weights="mine", patch=8)
    assert isinstance(backbone, Stripes)
    assert backbone.weights == "mine"
    assert backbone(torch.ones(2, 3, 16, 24))[8].shape == (2, 3, 2, 3)
    assert "stripes" in backbone_names()
    with pytest.raises(UnknownBackboneError, match="did you mean stripes"):
        create_backbone("stripe")


@pytest.mark.usefixtures("own_registry")
def test_the_last_registered_of_a_name_is_built():
    register("resnet18", Stripes)
    assert isinstance(create_backbone("resnet18"), Stripes)


def test_a_network_is_its_head_on_its_backbone():
    class Deepest(nn.Module):
        def forward(self, features):
            return features[4].mean(dim=(2, 3))

    backbone, head = Stripes(), Deepest()
    network = Network(backbone, head)
    images = torch.rand(2, 3, 16, 16)
    assert network.backbone is backbone
    assert network.head is head
    torch.testing.assert_close(network(images), images.mean(dim=(2, 3)))


def test_a_network_passes_all_its_inputs_to_the_backbone():
    """Sequences come with lengths, graphs with edges."""
    network = Network(nn.Bilinear(2, 3, 4), nn.Identity())
    assert network(torch.rand(5, 2), torch.rand(5, 3)).shape == (5, 4)


def test_a_missing_stride_says_which_there_are():
    with pytest.raises(StrideError) as error:
        create_backbone("test_resnet", output_stride=16).channels[32]
    message = str(error.value)
    assert message.startswith(
        "no feature map at stride 32: this backbone was built with output_stride=16 and"
    )
    assert "strides 2, 4, 8, 16;" in message
    assert "create_backbone(..., output_stride=...)" in message


def test_errors_can_be_caught_as_a_learner_would_guess():
    assert issubclass(UnknownBackboneError, BackboneError)
    assert issubclass(StrideError, KeyError)
    assert issubclass(BackboneError, ValueError)


def test_what_the_package_offers_exists():
    assert all(hasattr(backbones, name) for name in backbones.__all__)
