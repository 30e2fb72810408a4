"""Costs: against numbers worked out by hand and against those that were published."""

import pytest
import timm
import torch
from torch import nn

from backbones import Network, create_backbone
from backbones.cost import count_parameters, multiply_adds
from backbones.heads import ImageNetHead


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


def test_multiply_adds_of_matrix_products_and_of_several_inputs():
    assert multiply_adds(nn.Linear(6, 4), torch.rand(2, 5, 6)) == 2 * 5 * 6 * 4
    attention = nn.MultiheadAttention(8, num_heads=2, bias=False, batch_first=True)
    query, memory = torch.rand(1, 3, 8), torch.rand(1, 5, 8)
    projections = 3 * 8 * 8 + 2 * 5 * 8 * 8 + 3 * 8 * 8  # query, key and value, output
    assert multiply_adds(attention, query, memory, memory) == projections + 2 * 3 * 5 * 8


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


def test_the_mode_comes_back_after_an_error():
    network = by_hand().train()
    with pytest.raises(RuntimeError):
        multiply_adds(network, torch.rand(1, 1, 32, 32))
    assert all(part.training for part in network.modules())


def test_eval_mode_lets_a_batch_of_one_through_batch_norm():
    """In training mode batch norm refuses to take a mean over a single number."""
    network = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).train()
    assert multiply_adds(network, torch.rand(1, 4)) == 16
