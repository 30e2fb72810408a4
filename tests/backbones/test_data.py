"""The data modules: what they hold, that it never changes, what they say when asked for the impossible."""

import pytest
import torch
from torch import Tensor

from backbones import create_backbone
from backbones.data import Digits, Faces, Photos, images
from backbones.data.photos import UnknownPhotoError
from backbones.heads import ImageNetHead

LABELED = [(Digits, 8, (1000, 297, 500)), (Faces, 25, (100, 20, 80))]
BOTH = pytest.mark.parametrize("kind", [Digits, Faces])


def ready(kind: type, **options):
    data = kind(**options)
    data.setup()
    return data


def parts(data) -> list[tuple[Tensor, Tensor]]:
    return [part.tensors for part in (data.train, data.val, data.test)]


@pytest.mark.parametrize(("kind", "size", "counts"), LABELED)
def test_shapes_ranges_and_counts(kind, size, counts):
    for (pictures, labels), count in zip(parts(ready(kind)), counts, strict=True):
        assert pictures.shape == (count, 1, size, size)
        assert pictures.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert pictures.min() == 0
        assert 0.9 < pictures.max() <= 1


@BOTH
def test_no_picture_is_in_two_parts(kind):
    everything = torch.cat([pictures for pictures, _ in parts(ready(kind))])
    assert len(everything.flatten(1).unique(dim=0)) == len(everything)


@BOTH
def test_each_part_has_the_classes_in_the_same_proportions(kind):
    data = ready(kind)
    all_labels = torch.cat([labels for _, labels in parts(data)])
    whole = all_labels.bincount() / len(all_labels)
    assert len(whole) == len(data.class_names)
    for _, labels in parts(data):
        # whole pictures cannot be divided: each class may be off by one
        assert ((labels.bincount() - whole * len(labels)).abs() <= 1).all()


def test_labels_mean_what_the_class_names_say():
    train, labels = parts(ready(Faces))[0]
    # every face fills its crop, while borders and plain background are flat: faces vary more inside
    spread = train.flatten(1).std(dim=1)
    assert spread[labels == Faces.class_names.index("face")].median() > spread[labels == 1].median()
    train, labels = parts(ready(Digits))[0]
    # a zero is a ring, a one is a stroke: only the one has ink in the middle
    middle = train[:, 0, 3:5, 3:5].mean(dim=(1, 2))
    assert middle[labels == 0].mean() < 0.2 < 0.6 < middle[labels == 1].mean()


@BOTH
def test_the_same_bytes_on_each_call_and_the_same_split_for_each_seed(kind):
    data = ready(kind)
    first = parts(data)
    data.setup("fit")
    for again in (parts(data), parts(ready(kind, seed=1))):
        for (a, b), (c, d) in zip(first, again, strict=True):
            assert torch.equal(a, c)
            assert torch.equal(b, d)


@BOTH
def test_labels_per_class_keeps_a_growing_part_of_train_only(kind):
    few, more, full = (ready(kind, labels_per_class=n) for n in (3, 7, None))
    assert few.train.tensors[1].bincount().tolist() == [3] * len(kind.class_names)
    assert more.train.tensors[1].bincount().tolist() == [7] * len(kind.class_names)
    for small, large in ((few, more), (more, full)):
        known = {(p.numpy().tobytes(), int(y)) for p, y in large.train}
        assert all((p.numpy().tobytes(), int(y)) in known for p, y in small.train)
    assert torch.equal(few.test.tensors[0], full.test.tensors[0])
    other = ready(kind, labels_per_class=3, seed=1)
    assert not torch.equal(few.train.tensors[0], other.train.tensors[0])


@BOTH
def test_three_channels_are_equal(kind):
    gray, color = ready(kind).train.tensors[0], ready(kind, channels=3).train.tensors[0]
    assert color.shape[1] == 3
    for channel in range(3):
        assert torch.equal(color[:, channel], gray[:, 0])


def test_normalization_is_per_channel():
    plain = ready(Faces, channels=3).test.tensors[0]
    mean, std = (0.1, 0.2, 0.3), (0.5, 1.0, 2.0)
    normal = ready(Faces, channels=3, mean=mean, std=std).test.tensors[0]
    for channel in range(3):
        torch.testing.assert_close(normal[:, channel], (plain[:, channel] - mean[channel]) / std[channel])
    centered = ready(Digits, mean=0.5, std=0.5).test.tensors[0]
    assert (centered.min(), centered.max()) == (-1, 1)


@BOTH
def test_resizing_keeps_the_brightness(kind):
    plain = ready(kind).val.tensors[0].mean(dim=(1, 2, 3))
    for size in (5, 32):
        resized = ready(kind, image_size=size).val.tensors[0]
        assert resized.shape[-2:] == (size, size)
        assert 0 <= resized.min() <= resized.max() <= 1
        # shrinking without antialiasing skips pixels and is off by 0.010 or more
        assert (resized.mean(dim=(1, 2, 3)) - plain).abs().mean() < 0.005


def test_train_batches_are_shuffled_by_the_seed_and_between_epochs():
    def epochs(seed: int) -> list[Tensor]:
        loader = ready(Digits, seed=seed).train_dataloader()
        return [torch.cat([labels for _, labels in loader]) for _ in range(2)]

    (first, second), again, other = epochs(0), epochs(0), epochs(1)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    assert not torch.equal(first, second)
    assert not torch.equal(first, other[0])
    data = ready(Digits, batch_size=100)
    assert [len(labels) for _, labels in data.val_dataloader()] == [100, 100, 97]
    assert torch.equal(torch.cat([labels for _, labels in data.test_dataloader()]), data.test.tensors[1])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"image_size": 0}, "image_size=0 is too small"),
        ({"batch_size": 0}, "batch_size=0 is too small"),
        ({"mean": 0.5}, "mean was given without std"),
        ({"std": 0.5}, "std was given without mean"),
        ({"mean": (0.5, 0.5), "std": (0.5, 0.5)}, "mean has 2 numbers but the images have channels="),
        ({"mean": 0.5, "std": 0.0}, "must be positive"),
    ],
)
def test_impossible_options_are_named(options, sentence):
    for kind in (Digits, Faces, Photos):
        with pytest.raises(ValueError, match=sentence):
            kind(**options)


@BOTH
def test_impossible_labels_and_channels_are_named(kind):
    with pytest.raises(ValueError, match="channels=2 is not possible: choose 1 for gray"):
        kind(channels=2)
    with pytest.raises(ValueError, match="labels_per_class=0 is too small"):
        kind(labels_per_class=0)
    data = kind(labels_per_class=101)
    with pytest.raises(ValueError, match=r"labels_per_class=101 .* has \d+ images of class '"):
        data.setup()


def test_before_setup_the_error_says_so():
    with pytest.raises(AttributeError, match=r"Digits has no \.train yet: call setup\(\) first"):
        Digits().train_dataloader()
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = Digits().trian


def test_photos_are_whole_and_have_three_channels():
    photos = Photos()
    assert len(photos.names) == 10
    for name in photos.names:
        photo = photos[name]
        assert photo.dtype == torch.uint8
        assert photo.shape[0] == 3
        assert min(photo.shape[1:]) >= 300
        assert photo.float().std() > 10
    assert photos["coffee"].shape == (3, 400, 600)
    assert (
        photos["coffee"][0].float().mean() > 1.5 * photos["coffee"][2].float().mean()
    )  # brown: red over blue
    gray = photos["camera"]
    assert torch.equal(gray[0], gray[1])
    assert torch.equal(gray[0], gray[2])


def test_answers_are_classes_of_imagenet():
    photos = Photos()
    assert len(photos.class_names) == 1000
    assert photos.class_names[967] == "espresso"
    assert set(photos.answers) == set(photos.captions) == set(photos.names)
    given = {answer for answers in photos.answers.values() for answer in answers}
    assert given <= set(photos.class_names)
    assert [name for name in photos.names if not photos.answers[name]] == [
        "coins",
        "flower",
        "grass",
        "hubble",
    ]


def test_photo_batches_are_square_in_order_and_normalized():
    plain, normal = Photos(image_size=64, batch_size=4), Photos(image_size=64, mean=0.5, std=0.25)
    batches = list(plain.predict_dataloader())
    assert [len(batch) for batch, _ in batches] == [4, 4, 2]
    pictures = torch.cat([batch for batch, _ in batches])
    assert pictures.shape == (10, 3, 64, 64)
    assert torch.cat([index for _, index in batches]).tolist() == list(range(10))
    assert 0 <= pictures.min() < pictures.max() <= 1
    first, _ = next(iter(normal.test_dataloader()))
    torch.testing.assert_close(first, (pictures[:8] - 0.5) / 0.25)


def test_crops_are_seeded_parts_of_their_photo():
    photos = Photos()
    crops, index = photos.crops(size=48, per_photo=3, seed=5)
    assert crops.shape == (30, 3, 48, 48)
    assert crops.dtype == torch.uint8
    assert index.tolist() == [photo for photo in range(10) for _ in range(3)]
    assert torch.equal(crops, photos.crops(size=48, per_photo=3, seed=5)[0])
    assert not torch.equal(crops, photos.crops(size=48, per_photo=3, seed=6)[0])
    coins = photos["coins"]  # 303 pixels high: crops of that size are cut and not resized
    crop = photos.crops(size=303, per_photo=1, scale=(1, 1))[0][photos.names.index("coins")]
    assert any(torch.equal(crop, window) for window in coins.unfold(2, 303, 1).permute(2, 0, 1, 3))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 0}, "size=0 is too small"),
        ({"per_photo": 0}, "per_photo=0 is too small"),
        ({"scale": (0.5, 0.2)}, "two fractions, the smaller first"),
        ({"scale": (0, 0.5)}, "above 0"),
        ({"scale": (0.5, 1.5)}, "at most 1"),
    ],
)
def test_impossible_crops_are_named(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        Photos().crops(**options)


def test_an_unknown_photo_lists_those_there_are():
    with pytest.raises(
        UnknownPhotoError, match=r"no photo named 'cofee'; there are astronaut, camera, .*coffee"
    ):
        Photos()["cofee"]


def test_a_missing_file_or_package_says_what_to_install(tmp_path, monkeypatch):
    sentence = "skimage/data/.*`pip install --force-reinstall --no-deps scikit-image`"
    empty = type("Spec", (), {"origin": str(tmp_path / "__init__.py")})
    for spec in (empty, None):
        monkeypatch.setattr(images, "find_spec", lambda package, spec=spec: spec)
        with pytest.raises(FileNotFoundError, match=sentence):
            Photos()["coffee"]
        with pytest.raises(FileNotFoundError, match=sentence):
            Faces().setup()


@pytest.mark.slow
def test_a_pretrained_network_finds_the_answers():
    """EfficientNet-Lite0 gets five of the six photos with an answer right: it misses the small shuttle."""
    name = "tf_efficientnet_lite0"
    backbone, head = create_backbone(name, weights="imagenet").eval(), ImageNetHead(name).eval()
    photos = Photos(batch_size=10, mean=backbone.mean, std=backbone.std)
    pictures, _ = next(iter(photos.predict_dataloader()))
    with torch.inference_mode():
        top5 = head(backbone(pictures)).topk(5).indices.tolist()
    guesses = {n: [photos.class_names[i] for i in row] for n, row in zip(photos.names, top5, strict=True)}
    assert guesses["coffee"][0] == "espresso"
    domestic_cats = photos.class_names[281:286]  # tabby, tiger, Persian, Siamese, Egyptian
    assert guesses["chelsea"][0] in domestic_cats
    right = {n for n in photos.names if set(guesses[n]) & set(photos.answers[n])}
    assert right == {"camera", "chelsea", "china", "coffee", "rocket"}
