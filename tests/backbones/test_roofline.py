"""The roofline: bytes and multiply-adds by hand, stages in their order; of times only that there are some."""

import pytest
import torch
from torch import nn

from backbones import Backbone, create_backbone
from backbones.backbone import ByStride, Features
from backbones.measure.cost import CostError
from backbones.measure.roofline import Machine, Stage, measure_machine, stages


class TwoStages(Backbone):
    """A convolution with a ReLU in place, then a slow second stage: eight convolutions."""

    def __init__(self, fine_first: bool = True):
        super().__init__()
        self.channels, self.fine_first = ByStride({2: 4, 4: 8}), fine_first
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False)
        self.second = nn.Conv2d(4, 8, 3, stride=2, padding=1, bias=False)
        self.more = nn.ModuleList(nn.Conv2d(8, 8, 3, padding=1, bias=False) for _ in range(7))

    def forward(self, images):
        fine = self.first(images).relu_()
        coarse = self.second(fine)
        for layer in self.more:
            coarse = layer(coarse)
        maps = {2: fine, 4: coarse} if self.fine_first else {4: coarse, 2: fine}
        return Features(maps, images.shape[-2:], None)


def test_the_roof_by_hand():
    machine = Machine(bandwidth=10.0, rate=60.0)
    assert [machine.attainable(intensity) for intensity in (1, 6, 100)] == [10, 60, 60]
    stage = Stage("stride 4", seconds=2.0, multiply_adds=60, bytes=20)
    assert (stage.intensity, stage.rate) == (3, 30)


def test_this_machine_has_both_limits():
    machine = measure_machine()
    assert machine.bandwidth > 0
    assert machine.rate > 0


@pytest.mark.parametrize("fine_first", [True, False])
def test_stages_by_hand(fine_first):
    backbone = TwoStages(fine_first).eval()
    fine, coarse = stages(backbone, torch.rand(2, 3, 16, 16), repeats=1)
    assert (fine.name, coarse.name) == ("stride 2", "stride 4")
    image, map2, map4 = 2 * 3 * 16 * 16, 2 * 4 * 8 * 8, 2 * 8 * 4 * 4  # numbers in a batch of two
    assert fine.multiply_adds == map2 * 3 * 9
    assert coarse.multiply_adds == map4 * 4 * 9 + 7 * map4 * 8 * 9
    # read image and weights, write the map; then ReLU reads and writes it in place
    assert fine.bytes == 4 * (image + 4 * 3 * 9 + map2 + 2 * map2)
    assert coarse.bytes == 4 * (map2 + 8 * 4 * 9 + map4 + 7 * (2 * map4 + 8 * 8 * 9))
    assert fine.seconds > 0
    assert coarse.seconds > 0


def test_a_depthwise_backbone_does_less_with_each_byte():
    images = torch.rand(1, 3, 64, 64)
    light, dense = (
        stages(create_backbone(name).eval(), images, repeats=1)
        for name in ("tf_efficientnet_lite0", "resnet18")
    )
    assert [stage.name for stage in light] == [f"stride {stride}" for stride in (2, 4, 8, 16, 32)]
    total = [sum(s.multiply_adds for s in rows) / sum(s.bytes for s in rows) for rows in (light, dense)]
    assert total[0] < total[1]


def test_a_backbone_in_training_mode_is_refused():
    with pytest.raises(CostError, match=r"backbone\.eval\(\)"):
        stages(TwoStages(), torch.rand(1, 3, 16, 16))
