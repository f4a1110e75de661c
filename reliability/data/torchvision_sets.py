"""What torchvision's data sets are called, where their files lie, and what their classes are called.

Known here without torchvision, so that opening a set imports nothing heavy.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliability.data.folder import subfolders
from reliability.data.prompts import read_class_names
from reliability.data.published_prompts import CIFAR_TEMPLATES, imagenet_prompts
from reliability.errors import DataError
from reliability.types import PromptSet

_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
_EUROSAT = {
    "AnnualCrop": "annual crop land",
    "Forest": "forest",
    "HerbaceousVegetation": "brushland or shrubland",
    "Highway": "highway or road",
    "Industrial": "industrial buildings or commercial buildings",
    "Pasture": "pasture land",
    "PermanentCrop": "permanent crop land",
    "Residential": "residential buildings or homes or apartments",
    "River": "river",
    "SeaLake": "lake or sea",
}
"""Class folder to the name that CLIP's authors prompt with."""


@dataclass(frozen=True)
class Published:
    """A set as torchvision publishes it.

    Attributes:
        name: torchvision's class.
        classes: Class names in label order, given the root; read from the files where they tell.
        templates: With ``{c}`` for the class; none stands for ImageNet's.
        test, train: Arguments of torchvision's class for each split; no ``train`` where the
            set has none, or one too large to be hashed.
        labels: Attribute of torchvision's object with the labels.
        files: Attribute with the paths; empty where the pictures come out of an array.
        content: Files and folders below the root that the pictures and labels are in.
        md5: Of the archive, for sets whose files torchvision checks on opening.
        archive, url: What to fetch, and where.
        size: Number of pictures, and what they take on disk.
        licence: Terms, in a few words.
        fetched: Whether missing files are fetched on first use. Others only when asked.
        downloads: Whether torchvision can fetch it at all, or only unpack archives put there.
    """

    name: str
    classes: Callable[[Path], tuple[str, ...]]
    templates: tuple[str, ...]
    test: Mapping[str, Any]
    train: Mapping[str, Any] | None
    archive: str
    url: str
    size: str
    licence: str
    labels: str = "targets"
    files: str = ""
    content: tuple[str, ...] = ()
    md5: str = ""
    fetched: bool = False
    downloads: bool = True

    def prompts(self, root: Path) -> PromptSet:
        """Names and templates of all classes.

        Raises:
            DataError: The names are told by files that are not there, or damaged.
        """
        return PromptSet(self.classes(root), self.templates or imagenet_prompts().templates)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of a set whose files are not needed to tell them."""
        return self.classes(Path())


def _words(text: str) -> Callable[[Path], tuple[str, ...]]:
    names = tuple(name.replace("_", " ") for name in text.split())
    return lambda _: names


def _folders(below: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda root: tuple(name.replace("_", " ") for name in subfolders(root / below))


def _food(root: Path) -> tuple[str, ...]:
    file = root / "food-101" / "meta" / "test.json"
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        return tuple(sorted(str(name).replace("_", " ") for name in listed))
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from error


def _pets(root: Path) -> tuple[str, ...]:
    file = root / "oxford-iiit-pet" / "annotations" / "test.txt"
    try:
        rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        breeds = {int(row[1]): row[0].rpartition("_")[0].replace("_", " ") for row in rows}
    except (OSError, ValueError, IndexError) as error:
        raise _damaged(file, error) from error
    return tuple(breeds[number] for number in sorted(breeds))


def _eurosat(root: Path) -> tuple[str, ...]:
    return tuple(_EUROSAT.get(name, name) for name in subfolders(root / "eurosat" / "2750"))


def _places(root: Path) -> tuple[str, ...]:
    """``/a/airport_terminal 2`` is the class "airport terminal" with label 2."""
    file = root / "categories_places365.txt"
    try:
        rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        named = {int(number): path for path, number in rows}
    except (OSError, ValueError) as error:
        raise _damaged(file, error) from error
    return tuple(named[label].split("/", 2)[-1].replace("/", " ").replace("_", " ") for label in sorted(named))


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError(
        where=str(file), what="the class names cannot be read", got=f"{type(error).__name__}: {error}",
        next="fetch the set again",
    )  # fmt: skip


def _cifar(name: str, words: str, archive: str, md5: str, folder: str) -> Published:
    return Published(
        name, _words(words), CIFAR_TEMPLATES, test={"train": False}, train={"train": True}, archive=archive,
        url=f"https://www.cs.toronto.edu/~kriz/{archive}", md5=md5, fetched=True,
        size="60,000, 0.2 GB", licence="none stated; photographs from the web", content=(folder,),
    )  # fmt: skip


_SETS = (
    _cifar("CIFAR10", _CIFAR10, "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "cifar-10-batches-py"),
    _cifar("CIFAR100", _CIFAR100, "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", "cifar-100-python"),
    Published(
        "SVHN", _words("0 1 2 3 4 5 6 7 8 9"), ('a photo of the number: "{c}".',), {"split": "test"},
        {"split": "train"}, "test_32x32.mat and train_32x32.mat", "http://ufldl.stanford.edu/housenumbers/",
        "99,289, 0.3 GB", "non-commercial use", labels="labels", md5="eb5a983be6a315427106f1b164d9cef3",
        content=("test_32x32.mat",),
    ),
    Published(
        "DTD", _folders("dtd/dtd/images"), ("a photo of a {c} texture.", "a photo of a {c} pattern."),
        {"split": "test"}, {"split": "train"}, "dtd/dtd-r1.0.1.tar.gz",
        "https://www.robots.ox.ac.uk/~vgg/data/dtd/", "5,640, 0.6 GB", "research use", labels="_labels",
        files="_image_files", content=("dtd/dtd/images", "dtd/dtd/labels"),
    ),
    Published(
        "Food101", _food, ("a photo of {c}, a type of food.",), {"split": "test"}, {"split": "train"},
        "food-101.tar.gz", "https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/", "101,000, 5 GB",
        "photographs from foodspotting.com, research use", labels="_labels", files="_image_files",
        content=("food-101/images", "food-101/meta"),
    ),
    Published(
        "Flowers102", lambda _: read_class_names(Path(__file__).with_name("flowers102_names.txt")),
        ("a photo of a {c}, a type of flower.",), {"split": "test"}, {"split": "train"},
        "flowers-102/102flowers.tgz", "https://www.robots.ox.ac.uk/~vgg/data/flowers/102/", "8,189, 0.3 GB",
        "none stated", labels="_labels", files="_image_files", content=("flowers-102",),
    ),
    Published(
        "OxfordIIITPet", _pets, ("a photo of a {c}, a type of pet.",), {"split": "test"}, {"split": "trainval"},
        "oxford-iiit-pet/images.tar.gz", "https://www.robots.ox.ac.uk/~vgg/data/pets/", "7,349, 0.8 GB",
        "CC BY-SA 4.0", labels="_labels", files="_images",
        content=("oxford-iiit-pet/images", "oxford-iiit-pet/annotations"),
    ),
    Published(
        "EuroSAT", _eurosat, ("a centered satellite photo of {c}.",), {}, None, "eurosat/EuroSAT.zip",
        "https://github.com/phelber/EuroSAT", "27,000, 0.1 GB", "MIT", files="imgs", content=("eurosat/2750",),
    ),
    Published(
        "Places365", _places, ("a photo of a {c}.", "a photo of the {c}."), {"split": "val"}, None,
        "val_large.tar and filelist_places365-standard.tar", "http://places2.csail.mit.edu/download.html",
        "36,500 of the val split, 2 GB", "CC BY for the labels, research use", files="imgs",
        content=("val_large", "places365_val.txt", "categories_places365.txt"),
    ),
    Published(
        "ImageNet", lambda _: imagenet_prompts().class_names, (), {"split": "val"}, None,
        "ILSVRC2012_img_val.tar and ILSVRC2012_devkit_t12.tar.gz", "https://image-net.org/download.php",
        "50,000 of the val split, 6.7 GB", "non-commercial research, on request", files="imgs",
        content=("val", "meta.bin"), downloads=False,
    ),
)  # fmt: skip

PUBLISHED: dict[str, Published] = {published.name: published for published in _SETS}
"""Name to set."""
