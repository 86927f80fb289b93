"""Which images the show asks about: well-known ones of the examples, else a spread of whatever the folder holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.items import Item
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions

QUERY_IMAGE = "animals/cat.png"
SHOWN = (
    "animals/panda.png",
    "birds/penguin.png",
    "flowers/sunflower.png",
    "food/ice-cream.png",
    "fruit/red-apple.png",
    "musical instruments/guitar.png",
    "tools/hammer.png",
    "vehicles/tractor.png",
)
CAPTION_GAP = "·"  # between the English and the Chinese name


@dataclass(frozen=True, slots=True)
class Sample:
    file: Path
    key: str
    label: str
    caption: str


def query_image(images: Path) -> Path:
    return picked(images, [QUERY_IMAGE], count=1)[0].file


def to_classify(images: Path) -> list[Sample]:
    return picked(images, SHOWN, count=len(SHOWN))


def picked(images: Path, preferred: Sequence[str], count: int) -> list[Sample]:
    """The preferred ones if all are there, else up to `count` at equal steps through the folder."""
    [source] = open_sources([str(images)], SourceOptions())
    every = [found for found in source if isinstance(found, Item)]
    known = {item.key: item for item in every}
    if all(key in known for key in preferred):
        return [sample(images, known[key]) for key in preferred]
    return [sample(images, item) for item in every[:: max(1, len(every) // count)][:count]]


def sample(images: Path, item: Item) -> Sample:
    facts = item.facts(b"")
    return Sample(images / item.key, item.key, facts.label, facts.caption)


def names(images: Sequence[Sample]) -> list[str]:
    """Labels to choose among, each once: the captions' first names, else the folders'."""
    return list(dict.fromkeys(name for image in images if (name := name_of(image))))


def name_of(image: Sample) -> str:
    if image.caption:
        return " ".join(image.caption.split(CAPTION_GAP)[0].replace(",", " ").split())
    return image.label
