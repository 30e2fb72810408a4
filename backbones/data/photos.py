"""Ten photographs to look through a backbone with."""

from functools import cached_property
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from .images import Statistic, check_positive, normalization, package_file


class UnknownPhotoError(KeyError):
    """There is no photo of this name; the message lists those there are."""

    __str__ = Exception.__str__  # KeyError would print the sentence in quotes


class _Photo(NamedTuple):
    file: str
    caption: str
    answers: tuple[str, ...]  # decided by looking at the photo, never by what a network says


_PHOTOS = {
    "astronaut": _Photo(
        "skimage/data/astronaut.png",
        "Eileen Collins in an orange space suit, a model of the space shuttle behind her",
        ("space shuttle",),
    ),
    "camera": _Photo(
        "skimage/data/camera.png",
        "a man in a dark coat looks through a camcorder on a tripod",
        ("tripod",),
    ),
    "chelsea": _Photo(
        "skimage/data/chelsea.png",
        "the face of Chelsea, a tawny striped cat",
        ("tabby, tabby cat", "tiger cat"),
    ),
    "china": _Photo(
        "sklearn/datasets/images/china.jpg",
        "an eight-sided tower with tiers of tiled roofs, the Summer Palace in Beijing, above a lake",
        ("palace", "tile roof", "lakeside, lakeshore"),
    ),
    "coffee": _Photo(
        "skimage/data/coffee.png",
        "an espresso in a red cup and saucer on a wooden table",
        ("espresso", "cup"),
    ),
    "coins": _Photo("skimage/data/coins.png", "four rows of ancient Greek coins", ()),
    "flower": _Photo("sklearn/datasets/images/flower.jpg", "an orange dahlia before dark leaves", ()),
    "grass": _Photo("skimage/data/grass.png", "grass and small leaves from above, filling the photo", ()),
    "hubble": _Photo("skimage/data/hubble_deep_field.jpg", "galaxies, bright specks on black sky", ()),
    "rocket": _Photo(
        "skimage/data/rocket.jpg",
        "a Falcon 9 rocket on its launch pad at dusk, between four lattice towers",
        ("missile", "projectile, missile"),
    ),
}


class Photos:
    """Ten real photographs, and which of ImageNet's 1,000 classes are right for each.

        photos = Photos()
        photos.names                 # ("astronaut", "camera", "chelsea", ...)
        photos["coffee"]             # uint8 (3, 400, 600): the whole photo in 0..255
        photos.answers["coffee"]     # ("espresso", "cup")
        photos.captions["coffee"]    # what a sighted person sees, for alt text

    Photos are 300 to 872 pixels high and 384 to 1,000 wide; camera, coins and grass are gray and get three
    equal channels. The data loader (one for test and predict alike: ten photos train nothing) gives batches
    of (image float32 (3, image_size, image_size), index int64 () into `names`).

    An answer names what is plainly in the picture, decided by looking. Four photos have none, on purpose: a
    network spreads its certainty over its 1,000 classes even when none is right. ImageNet has no coin, no
    galaxy, no lawn, and of flowers like this dahlia only the daisy. Two cases to discuss: ImageNet has no
    launch vehicle and files rockets under missiles; and a network may call Chelsea an "Egyptian cat", which
    no source does.

    Source and licence, as stated by scikit-image and scikit-learn, which bring the files. CC0: camera (Lav
    Varshney), chelsea (Stefan van der Walt), coffee (Rachel Michetti), grass (linolafett). Public domain:
    astronaut and hubble (NASA), rocket (SpaceX; its Flickr page has said CC BY-NC 2.0). No known
    restrictions: coins (Brooklyn Museum). CC BY 2.0: china (danielbuechele), flower (vultilion), on Flickr.
    """

    def __init__(
        self, image_size: int = 224, batch_size: int = 8, mean: Statistic = None, std: Statistic = None
    ):
        """
        Args:
            image_size: side in pixels of what the data loader gives.
            batch_size: images per batch.
            mean, std: one number or one per channel, for images in [0, 1].
        Raises:
            ValueError: for an option that makes no sense, saying why.
        """
        check_positive(image_size=image_size, batch_size=batch_size)
        self.batch_size = batch_size
        self.names = tuple(_PHOTOS)
        self.answers = {name: photo.answers for name, photo in _PHOTOS.items()}
        self.captions = {name: photo.caption for name, photo in _PHOTOS.items()}
        # uint8 (3, H, W) => float (3, image_size, image_size): shorter side to image_size, middle square
        self.transform = v2.Compose(
            [
                v2.Resize(image_size, antialias=True),
                v2.CenterCrop(image_size),
                v2.ToDtype(torch.float32, scale=True),
                normalization(mean, std, channels=3),
            ]
        )

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """ImageNet's 1,000 class descriptions in the order of a network's outputs.

        Two classes are both called "crane": 134 is the bird, 517 the machine.
        """
        from timm.data import ImageNetInfo  # here, because importing timm takes seconds

        info = ImageNetInfo()
        return tuple(info.index_to_description(index) for index in range(info.num_classes()))

    def __getitem__(self, name: str) -> Tensor:
        """The whole photo, uint8 (3, H, W). Raises UnknownPhotoError, FileNotFoundError."""
        if name not in _PHOTOS:
            raise UnknownPhotoError(f"no photo named {name!r}; there are {', '.join(_PHOTOS)}")
        with Image.open(package_file(_PHOTOS[name].file)) as image:
            return v2.functional.pil_to_tensor(image.convert("RGB"))

    def crops(
        self, size: int = 64, per_photo: int = 20, seed: int = 0, scale: tuple[float, float] = (0.25, 0.5)
    ) -> tuple[Tensor, Tensor]:
        """Random square crops of every photo, photo by photo; crops of one photo may overlap.

        Args:
            size: side in pixels that each crop is resized to.
            per_photo: crops from each photo.
            seed: the same seed gives the same crops.
            scale: a crop's side before resizing, drawn evenly between these fractions of the shorter side.
        Returns:
            Crops uint8 (N, 3, size, size), and for each its photo's index into `names`, int64 (N,).
        Raises:
            ValueError: for size or per_photo below 1, or a scale that is not 0 < low <= high <= 1.
        """
        check_positive(size=size, per_photo=per_photo)
        low, high = scale
        if not 0 < low <= high <= 1:
            raise ValueError(f"scale={scale} must be two fractions, the smaller first, above 0 and at most 1")
        generator = torch.Generator().manual_seed(seed)
        crops = []
        for name in self.names:
            photo = self[name]
            height, width = photo.shape[-2:]
            for fraction, down, right in torch.rand(per_photo, 3, generator=generator).tolist():
                side = max(1, round((low + (high - low) * fraction) * min(height, width)))
                top, left = int(down * (height - side + 1)), int(right * (width - side + 1))
                crop = photo[:, top : top + side, left : left + side]
                crops.append(v2.functional.resize(crop, [size, size], antialias=True))
        return torch.stack(crops), torch.arange(len(self.names)).repeat_interleave(per_photo)

    def test_dataloader(self) -> DataLoader:
        """Batches (images, indices into `names`) in the order of `names`."""
        return DataLoader([(self.transform(self[n]), i) for i, n in enumerate(self.names)], self.batch_size)

    def predict_dataloader(self) -> DataLoader:
        """The same as `test_dataloader`."""
        return self.test_dataloader()
