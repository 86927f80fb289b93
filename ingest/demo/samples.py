"""Which images the show asks about: well-known ones of the examples, else a spread of whatever the folder holds."""

from collections.abc import Sequence
from pathlib import Path

from ingest.items import ImageFile
from ingest.sources import list_sources

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


def query_image(images: Path) -> Path:
    return picked(images, [QUERY_IMAGE], count=1)[0].file


def to_classify(images: Path) -> list[ImageFile]:
    return picked(images, SHOWN, count=len(SHOWN))


def picked(images: Path, preferred: Sequence[str], count: int) -> list[ImageFile]:
    """The preferred ones if all are there, else up to `count` at equal steps through the folder."""
    every = list_sources([images]).files
    known = {image.key: image for image in every}
    if all(key in known for key in preferred):
        return [known[key] for key in preferred]
    return every[:: max(1, len(every) // count)][:count]


def names(images: Sequence[ImageFile]) -> list[str]:
    """Labels to choose among, each once: the captions' first names, else the folders'."""
    return list(dict.fromkeys(name for image in images if (name := name_of(image))))


def name_of(image: ImageFile) -> str:
    if image.caption_file:
        caption = image.caption_file.read_text("utf-8", errors="replace")
        return " ".join(caption.split(CAPTION_GAP)[0].replace(",", " ").split())
    return image.label
