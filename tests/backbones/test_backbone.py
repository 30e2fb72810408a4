"""The contract: names, the registry, a network's two parts, and what a missing stride says."""

import copy
import pickle
import re

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

import backbones
from backbones import (
    Backbone,
    BackboneError,
    DeepLabV3,
    DeepLabV3Plus,
    Network,
    backbone_names,
    check_backbone,
    create_backbone,
    register,
)
from backbones import backbone as contract
from backbones.backbone import (
    BatchError,
    ByStride,
    Features,
    StrideError,
    UnknownBackboneError,
)
from backbones.data import Digits
from backbones.heads import ClassificationHead, Detector, SegmentationHead
from backbones.tasks import Classification, evaluate, fit


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
        ("resnet_50.a1_in1k", "resnet50"),  # timm's spelling of a model with its weights
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


@pytest.mark.parametrize("name", [None, 50, b"resnet50", nn.Identity()])
def test_a_name_is_a_text(name):
    with pytest.raises(UnknownBackboneError, match="is called by its name, a text"):
        create_backbone(name)


def test_an_option_that_is_missing_or_unknown_is_named_and_no_other() -> None:
    with pytest.raises(BackboneError, match=r"^create_backbone\('gru'\) cannot be built: .*'vocab_size'"):
        create_backbone("gru")
    with pytest.raises(
        BackboneError, match=r"^create_backbone\('gcn', width=\.\.\.\) cannot be built: .*'in_features'"
    ):
        create_backbone("gcn", width=8)
    with pytest.raises(
        BackboneError, match=r"^create_backbone\('resnet18', stride=\.\.\.\) cannot .*'stride'"
    ):
        create_backbone("resnet18", stride=16)


@pytest.mark.slow
def test_timm_s_name_with_the_tag_of_its_weights_works():
    plain, tagged = (create_backbone(name) for name in ("resnet18", "resnet18.fb_swsl_ig1b_ft_in1k"))
    assert [p.shape for p in plain.parameters()] == [p.shape for p in tagged.parameters()]
    clip = create_backbone("vit_base_patch32_clip_224.openai", output_stride=32)
    assert clip.mean == pytest.approx((0.48145466, 0.4578275, 0.40821073)), "of those weights"
    with pytest.raises(UnknownBackboneError, match=r"no weights 'a9' of 'resnet18'; there are .*a1_in1k"):
        create_backbone("resnet18.a9")


@pytest.mark.parametrize("weights", [True, 1, "imagenett", "timmm", 0.5])
def test_weights_that_are_not_understood_say_what_would_be(weights):
    with pytest.raises(BackboneError, match=r"weights=.* is not understood: use None, 'imagenet', the path"):
        create_backbone("test_resnet", weights=weights)


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
        return Features({self.patch: nn.functional.avg_pool2d(images, self.patch)}, images.shape[-2:])


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


def every_network() -> dict[str, Network]:
    """One of each kind that the course has, on one backbone each."""
    torch.manual_seed(0)
    small = [create_backbone("test_resnet", output_stride=stride) for stride in (32, 32, 32, 16, 16)]
    channels = small[0].channels
    return {
        "classification": Network(small[0], ClassificationHead(channels, 3)),
        "segmentation": Network(small[1], SegmentationHead(channels, 3, strides=(8, 32))),
        "detection": Detector(small[2], 3),
        "DeepLabv3": DeepLabV3(small[3], 3, width=16),
        "DeepLabv3+": DeepLabV3Plus(small[4], 3, width=16),
    }


@pytest.mark.parametrize("kind", every_network())
@torch.no_grad()
def test_every_network_is_its_head_on_its_backbone_to_the_letter(kind):
    network = every_network()[kind].eval()
    images = torch.rand(2, 3, 65, 96)
    answer, by_hand = network(images), network.head(network.backbone(images))
    if isinstance(answer, Tensor):
        assert torch.equal(answer, by_hand)
    else:
        for ours, theirs in zip(answer, by_hand, strict=True):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    if kind not in ("classification", "detection"):
        assert answer.shape == (2, 3, 65, 96), "features know the size of their input"


def assert_same(ours: Features, theirs: Features) -> None:
    assert isinstance(ours, Features)
    assert (list(ours), ours.size) == (list(theirs), theirs.size)
    for stride in theirs:
        torch.testing.assert_close(ours[stride], theirs[stride])
    assert (ours.mask is None) == (theirs.mask is None)
    assert theirs.mask is None or torch.equal(ours.mask, theirs.mask)


@pytest.fixture
def features() -> Features:
    mask = torch.tensor([[True, True, False, False]])
    return Features({1: torch.rand(1, 2, 4), 2: torch.rand(1, 3, 2)}, size=(4,), mask=mask)


def test_features_are_copied_and_pickled_with_their_size_and_mask(features):
    for twin in (copy.deepcopy(features), copy.copy(features), pickle.loads(pickle.dumps(features))):
        assert_same(twin, features)
    deep = copy.deepcopy(features)
    deep[1].zero_()
    assert features[1].any()


def test_a_backbone_alone_can_be_exported_for_any_size():
    backbone, images = create_backbone("test_resnet").eval(), torch.rand(2, 3, 64, 64)
    batch, height, width = (torch.export.Dim(name) for name in "bhw")
    shapes = ({0: batch, 2: 32 * height, 3: 32 * width},)
    exported = torch.export.export(backbone, (images,), dynamic_shapes=shapes).module()
    for given in (images, torch.rand(3, 3, 96, 128)):
        assert_same(exported(given), backbone(given))


def test_an_exported_backbone_can_be_saved_and_loaded(tmp_path):
    backbone, images = create_backbone("test_resnet").eval(), torch.rand(2, 3, 64, 64)
    torch.export.save(torch.export.export(backbone, (images,)), tmp_path / "backbone.pt2")
    assert_same(torch.export.load(tmp_path / "backbone.pt2").module()(images), backbone(images))


@torch.no_grad()
@pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning"
)  # our checks look at shapes, which stay the same
def test_a_backbone_alone_can_be_traced():
    """torch.jit.trace takes dictionaries with text for keys, and no subclass: so a trace gives these."""
    backbone, images = create_backbone("test_resnet").eval(), torch.rand(2, 3, 64, 64)
    traced = torch.jit.trace(backbone, images, strict=False)
    maps, other = backbone(images * 0.5), traced(images * 0.5)
    assert {int(stride) for stride in other} == set(maps)
    assert all(torch.equal(other[str(stride)], maps[stride]) for stride in maps)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classification", "segmentation", "DeepLabv3+"])
@torch.no_grad()
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # as above
def test_networks_are_traced_exported_compiled_pickled_and_copied(kind):
    network, images = every_network()[kind].eval(), torch.rand(2, 3, 64, 64)
    expected = network(images)
    twins = {
        "traced": torch.jit.trace(network, images),
        "exported": torch.export.export(network, (images,)).module(),
        "compiled": torch.compile(network, backend="eager", fullgraph=True),
        "pickled": pickle.loads(pickle.dumps(network)),
        "copied": copy.deepcopy(network),
    }
    for how, twin in twins.items():
        torch.testing.assert_close(twin(images), expected, msg=how)


def test_a_copied_network_trains_under_lightning_and_leaves_the_first_alone():
    backbone = create_backbone("test_resnet")
    first = Network(backbone, ClassificationHead(backbone.channels, 10))
    before = copy.deepcopy(first.state_dict())
    data = Digits(image_size=32, channels=3, labels_per_class=2)
    task = Classification(copy.deepcopy(first), 10)
    fit(task, data, epochs=1, validate=False)
    assert 0 <= evaluate(task, data)["test_accuracy"] <= 1
    assert all(torch.equal(first.state_dict()[key], value) for key, value in before.items())
    changed = task.network.state_dict()
    assert any(not torch.equal(changed[key], value) for key, value in before.items())


def test_features_come_through_lightning_s_predict():
    class Extract(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.backbone = create_backbone("test_resnet")

        def predict_step(self, batch, index):
            return self.backbone(batch)

    images, task = torch.rand(3, 3, 32, 32), Extract()
    trainer = pl.Trainer(logger=False, enable_progress_bar=False, enable_checkpointing=False)
    (predicted,) = trainer.predict(task, DataLoader(images, batch_size=3))
    with torch.no_grad():
        expected = task.eval().backbone(images)
    assert predicted.keys() == expected.keys()
    assert all(torch.equal(predicted[stride], expected[stride]) for stride in expected)


def test_batch_norm_that_sees_one_number_is_explained_in_any_network():
    network = Network(Stripes(), nn.BatchNorm1d(3))
    network.backbone.forward = lambda images: images.mean(dim=(2, 3))
    with pytest.raises(BatchError, match=r"one position of one image .*more images per batch"):
        network(torch.rand(1, 3, 8, 8))
    network(torch.rand(2, 3, 8, 8))
    network.head.forward = lambda features: int("x")
    with pytest.raises(ValueError, match="invalid literal"):
        network(torch.rand(2, 3, 8, 8))


# check_backbone: one fault each


class Odd(Stripes):
    """Stripes with a fault that a test chooses."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def forward(self, images):
        return self.fault(images, super().forward(images))


def in_place(images, features):
    images += 1
    return features


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (lambda images, features: dict(features), "it returns dict: return Features"),
        (lambda images, features: features[4], "it returns Tensor: return Features"),
        (
            lambda images, features: Features(features, (1, 2)),
            r"size is \(1, 2\), but the input's is \(128, 128\)",
        ),
        (
            lambda images, features: Features({8: features[4]}, features.size),
            r"strides \[8\], but .channels says \[4\]",
        ),
        (
            lambda images, features: Features({4: features[4][:, :2]}, features.size),
            "2 channels, but 3 are declared",
        ),
        (
            lambda images, features: Features({4: features[4][..., 2:]}, features.size),
            "32 x 30 .* says 32 x 32",
        ),
        (lambda images, features: Features({4: features[4] / 0}, features.size), "not finite"),
        (lambda images, features: 1 / 0, r"raises ZeroDivisionError .*refuse by a BackboneError"),
        (in_place, "changes the input in place"),
    ],
)
def test_check_backbone_finds(fault, sentence):
    found = check_backbone(Odd(fault))
    assert found
    assert all(re.search(sentence, found_one) for found_one in found[:1]), found


def test_check_backbone_finds_what_was_never_promised():
    assert "no .name" in check_backbone(nn.Identity())[0]
    assert "no .channels" in check_backbone(nn.Identity())[1]
    plain = Stripes()
    plain.channels = {4: 3}
    assert "make it a ByStride" in check_backbone(plain)[0]
    plain.channels = ByStride({4: "3"})
    assert "whole numbers above 0" in check_backbone(plain)[0]


class Learned(Backbone):
    """A sound backbone with weights, and a fault that a test plants."""

    name = "learned"

    def __init__(self, weights=None, output_stride=4):
        super().__init__()
        self.channels = ByStride({2: 4, output_stride: 6} if output_stride > 2 else {2: 6})
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.stage = nn.Conv2d(4, 6, 3, stride=output_stride // 2, padding=1)

    def forward(self, images):
        stem = self.stem(images).relu()
        return Features({2: stem, max(self.channels): self.stage(stem)}, images.shape[-2:])


class Unregistered(Learned):
    def __init__(self, **options):
        super().__init__(**options)
        self.parts = [nn.Conv2d(6, 6, 1)]

    def forward(self, images):
        features = super().forward(images)
        return Features({**features, 4: self.parts[0](features[4])}, features.size)


class PlainTensor(Learned):
    def __init__(self, **options):
        super().__init__(**options)
        self.scale = torch.rand(6, 1, 1)


class CutOff(Learned):
    def forward(self, images):
        stem = self.stem(images).relu()
        return Features({2: stem.detach(), 4: self.stage(stem.detach())}, images.shape[-2:])


class InputCutOff(Learned):
    def forward(self, images):
        return super().forward(images.detach())


class Idle(Learned):
    def __init__(self, **options):
        super().__init__(**options)
        self.idle = nn.Linear(2, 2)


class Remembers(Learned):
    before = 0.0

    def forward(self, images):
        features = super().forward(images)
        Remembers.before = 0.5 * Remembers.before + features[4].mean()
        return Features({**features, 4: features[4] + Remembers.before}, features.size)


class Mixes(Learned):
    def forward(self, images):
        return super().forward(images - images.mean(0))


class Casts(Learned):
    def forward(self, images):
        return super().forward(images.float())


class Untraceable(Learned):
    def forward(self, images):
        return super().forward(images * (1 if images.mean() > -1e6 else 2))


class AheadOfTime(Learned):
    kernel = None

    def forward(self, images):
        if self.kernel is None:
            self.kernel = [self.stem.weight.detach().clone()]
        stem = torch.nn.functional.conv2d(images, self.kernel[0].to(images), stride=2, padding=1) + self.stem(
            images
        )
        return Features({2: stem, 4: self.stage(stem)}, images.shape[-2:])


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Unregistered, r"self\.parts holds layers or weights in a plain list"),
        (PlainTensor, r"self\.scale is a plain tensor"),
        (CutOff, r"no gradient reaches stem\.weight, stem\.bias: use every layer"),
        (InputCutOff, "no gradient reaches the input"),
        (Idle, r"no gradient reaches idle\.weight, idle\.bias: use every layer"),
        (Remembers, "other features the second time"),
        (Mixes, "depend on the others in its batch"),
        (Casts, r"in double precision \(\.double\(\)\) it raises RuntimeError"),
        (Untraceable, r"in torch\.export it raises"),
        (AheadOfTime, "compute nothing ahead of time"),
    ],
)
def test_check_backbone_finds_what_shows_only_in_use(kind, sentence):
    assert check_backbone(Learned()) == []
    found = check_backbone(kind())
    assert re.search(sentence, found[0]), found


class Fine(Learned):
    """At stride 2 it gives what a test makes of its maps at strides 2 and 4."""

    def __init__(self, make, *layers):
        super().__init__()
        self.channels = ByStride({2: 6, 4: 6})
        self.make, self.layers = make, nn.ModuleList(layers)

    def forward(self, images):
        features = super().forward(images)
        fine = self.make(features[2], features[4], *self.layers)
        return Features({2: fine, 4: features[4]}, features.size)


def larger(coarse, fine, **how):
    return nn.functional.interpolate(coarse, size=fine.shape[2:], **how)


ENLARGED = {
    "repeated": (lambda fine, coarse: larger(coarse, fine),),
    "repeated, then a ReLU": (lambda fine, coarse: larger(coarse, fine).relu(),),
    "bilinear": (lambda fine, coarse: larger(coarse, fine, mode="bilinear"),),
    "corners aligned": (lambda fine, coarse: larger(coarse, fine, mode="bilinear", align_corners=True),),
    "bicubic, then mixed": (
        lambda fine, coarse, mix: mix(larger(coarse, fine, mode="bicubic")),
        nn.Conv2d(6, 6, 1),
    ),
}


@pytest.mark.parametrize("what", ENLARGED)
def test_check_backbone_finds_a_coarse_map_that_was_enlarged(what):
    found = check_backbone(Fine(*ENLARGED[what]))
    assert len(found) == 1, found
    assert "the map at stride 2 is a coarser one enlarged" in found[0]


def silent(layer, *, awake=0):
    """The layer without the weights of all but its first channels."""
    with torch.no_grad():
        layer.weight[awake:] = 0
    return layer


TRULY_FINE = {
    "a sum with the enlarged": (
        lambda fine, coarse, side: side(fine) + larger(coarse, fine, mode="bilinear"),
        nn.Conv2d(4, 6, 1),
    ),
    "convolved after enlarging": (
        lambda fine, coarse, smooth: smooth(larger(coarse, fine)),
        nn.Conv2d(6, 6, 3, padding=1),
    ),
    "transposed convolution": (
        lambda fine, coarse, up: up(coarse)[..., : fine.shape[2], : fine.shape[3]],
        nn.ConvTranspose2d(6, 6, 2, stride=2),
    ),
    "blurred": (
        lambda fine, coarse, side: nn.functional.avg_pool2d(side(fine), 5, 1, 2),
        nn.Conv2d(4, 6, 1),
    ),
    "most of it the same everywhere": (
        lambda fine, coarse, side: side(fine) / 100 + coarse.mean((2, 3), keepdim=True),
        nn.Conv2d(4, 6, 1),
    ),
    "one channel awake": (lambda fine, coarse, side: side(fine), silent(nn.Conv2d(4, 6, 1), awake=1)),
    "hardly ever awake": (
        lambda fine, coarse, side: (side(fine) - side(fine).amax((1, 2, 3), keepdim=True) * 0.9).relu(),
        nn.Conv2d(4, 6, 1),
    ),
    "blind": (lambda fine, coarse, side: side(fine), silent(nn.Conv2d(4, 6, 1))),
}


@pytest.mark.parametrize("what", TRULY_FINE)
def test_check_backbone_lets_a_map_pass_that_is_truly_fine(what):
    assert check_backbone(Fine(*TRULY_FINE[what])) == []


def test_check_backbone_builds_each_output_stride():
    def wider(weights=None, output_stride=32):
        backbone = Learned(output_stride=output_stride)
        if output_stride == 8:
            backbone.stage = nn.Conv2d(4, 6, 5, stride=4, padding=2)
        return backbone

    def stubborn(weights=None, output_stride=4):
        return Learned()

    def fixed(weights=None):
        return Learned()

    assert check_backbone(Learned) == check_backbone(fixed) == []
    assert "with output_stride=8 it has other parameters" in check_backbone(wider)[0]
    assert check_backbone(stubborn)[0] == "built with output_stride=32 its largest stride is 4"


def test_check_backbone_loads_the_weights_of_one_into_another():
    class Lottery(Learned):
        def __init__(self, **options):
            super().__init__(**options)
            self.factor = float(torch.rand(()))

        def forward(self, images):
            return super().forward(images * self.factor)

    assert check_backbone(Lottery()) == []  # one alone does not show it
    assert "another one with the same state_dict() gives other features" in check_backbone(Lottery)[0]


def test_check_backbone_sees_padding_that_is_read():
    class Words(Backbone):
        name, channels = "words", ByStride({1: 6})

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 6)

        def forward(self, tokens, lengths):
            mask = torch.arange(tokens.shape[1]) < lengths[:, None]
            vectors = self.table(tokens)
            mixed = vectors + vectors.mean(1, keepdim=True)
            return Features({1: mixed.movedim(-1, 1)}, tokens.shape[1:], mask)

    found = check_backbone(Words(), torch.randint(8, (2, 5)), torch.tensor([5, 3]))
    assert "depend on the padding" in found[0]


@pytest.mark.slow
def test_check_backbone_takes_the_name_of_one(own_registry):
    register("learned", Learned)
    assert check_backbone("learned") == check_backbone("mobilenetv2_035") == []
    with pytest.raises(UnknownBackboneError, match="learned"):
        check_backbone("learnt")


def test_check_backbone_lets_a_sound_one_pass_and_leaves_it_alone():
    class Picky(Stripes):
        def forward(self, images):
            if images.shape[-1] % 4:
                raise BackboneError("sides have to be multiples of 4")
            return super().forward(images)

    assert check_backbone(Stripes()) == check_backbone(Picky()) == []
    backbone = create_backbone("test_resnet").train()
    before = copy.deepcopy(backbone.state_dict())
    assert check_backbone(backbone) == []
    assert backbone.training
    assert all(torch.equal(before[key], value) for key, value in backbone.state_dict().items())


def test_check_backbone_takes_tokens_and_nodes():
    class Words(Backbone):
        name, channels = "words", ByStride({1: 6})

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(9, 6)

        def forward(self, tokens, lengths):
            mask = torch.arange(tokens.shape[1]) < lengths[:, None]
            return Features({1: self.table(tokens).movedim(-1, 1)}, tokens.shape[1:], mask)

    class Nodes(Backbone):
        name, channels = "nodes", ByStride({1: 4})

        def forward(self, nodes, adjacency):
            return Features({1: adjacency @ nodes}, nodes.shape[:1])

    assert check_backbone(Words(), torch.randint(9, (2, 5)), torch.tensor([5, 3])) == []
    assert check_backbone(Nodes(), torch.rand(7, 4), torch.eye(7)) == []
    assert check_backbone(Nodes(), torch.rand(7, 5), torch.eye(7)) != []


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
