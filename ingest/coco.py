"""Boxes that were drawn or detected elsewhere: COCO's JSON of detections, and a field of photo.json.

https://cocodataset.org/#format-data: `images` have `id`, `file_name`, `width` and `height`; `annotations` have
`image_id` and `bbox`, [x, y, width, height] in pixels from the top left. Detections also have a `score`.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clip_vectorizer.errors import InputError
from ingest.items import GivenBox, GivenBoxes, UnusableFile

FIELD_HINT = "write a list of [x, y, width, height] in pixels"


class BoxFile:
    """The boxes of a COCO file, by image. Thread-safe."""

    def __init__(self, name: str, boxes: Mapping[str, GivenBoxes]) -> None:
        """`boxes`: by `file_name`."""
        self.name = name
        self._boxes = {normalize_name(image): given for image, given in boxes.items()}
        self._by_ending = index_endings(self._boxes)
        self._taken: dict[str, str] = {}  # the key that took an image's boxes
        self._lock = threading.Lock()

    def find(self, key: str) -> GivenBoxes | None:
        """The boxes of the image `key`, None if the file does not name it.

        Its name there is the key, or its last parts: cats/1.jpg is 1.jpg, and photos/cats/1.jpg too. Raises InputError
        where two images could be meant, because the boxes of one would be stored with the other.
        """
        image = self._find_name(key)
        if image is None:
            return None
        with self._lock:
            first = self._taken.setdefault(image, key)
        if first != key:
            raise InputError(
                f"{self.name} has boxes of {image}, which could be {min(first, key)} or {max(first, key)}; "
                "write the whole path as its file_name"
            )
        return self._boxes[image]

    def list_unused(self) -> list[str]:
        """The images with boxes that were not in the source."""
        return sorted(image for image, given in self._boxes.items() if given.boxes and image not in self._taken)

    def count_unused(self) -> int:
        """Their boxes."""
        return sum(len(self._boxes[image].boxes) for image in self.list_unused())

    def _find_name(self, key: str) -> str | None:
        for ending in list_endings(key):
            if ending in self._boxes:
                return ending
        found = self._by_ending.get(key, [])
        return found[0] if len(found) == 1 else None


def normalize_name(image: str) -> str:
    return image.replace("\\", "/").removeprefix("./").lstrip("/")


def list_endings(path: str) -> Iterator[str]:
    """The path and its last parts, the longest first.

    >>> list(list_endings("a/b/c.jpg"))
    ['a/b/c.jpg', 'b/c.jpg', 'c.jpg']
    """
    parts = path.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))


def index_endings(names: Mapping[str, object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        for ending in list_endings(name):
            found[ending].append(name)
    return found


def read_box_file(name: str) -> BoxFile:
    """Read a COCO file. Raises InputError that names the file, and the entry that is wrong."""
    try:
        values = json.loads(Path(name).read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"--regions boxes={name}: cannot be read ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"--regions boxes={name}: not JSON ({error})") from error
    try:
        return BoxFile(name, parse_detections(values))
    except InvalidDetections as problem:
        raise InputError(
            f"--regions boxes={name}: {problem}; it must be COCO's JSON of detections, with images and annotations"
        ) from problem


class InvalidDetections(ValueError):
    """What is wrong with a COCO file; the caller adds its name."""


def parse_detections(values: object) -> dict[str, GivenBoxes]:
    """The boxes by file name. Raises InvalidDetections."""
    if not isinstance(values, dict) or not all(
        isinstance(values.get(name), list) for name in ("images", "annotations")
    ):
        raise InvalidDetections("no lists of images and annotations")
    images = dict(parse_image(entry, number) for number, entry in enumerate(values["images"]))
    boxes: dict[object, list[GivenBox]] = {image: [] for image in images}
    for number, entry in enumerate(values["annotations"]):
        image = entry.get("image_id") if isinstance(entry, dict) else None
        if not isinstance(image, int | str) or image not in boxes:
            raise InvalidDetections(f"annotations[{number}] is of no image in it (image_id {image!r})")
        boxes[image].append(parse_box(entry, f"annotations[{number}]"))
    return {name: GivenBoxes(tuple(boxes[image]), size) for image, (name, size) in images.items()}


def parse_image(entry: object, number: int) -> tuple[object, tuple[str, tuple[int, int] | None]]:
    """Id, name and size."""
    image = entry if isinstance(entry, dict) else {}
    key, name = image.get("id"), image.get("file_name")
    if not isinstance(key, int | str) or not isinstance(name, str) or not name:
        raise InvalidDetections(f"images[{number}] has no id and file_name")
    size = image.get("width"), image.get("height")
    is_known = all(isinstance(side, int) and side > 0 for side in size)
    return key, (name, size if is_known else None)  # type: ignore[return-value]  # both are int


def parse_box(entry: Mapping[str, Any], where: str) -> GivenBox:
    """Any four numbers, also NaN: whether they are a box in the picture is decided for each, when that is read."""
    box, score = entry.get("bbox"), entry.get("score")
    if not (isinstance(box, Sequence) and len(box) == 4 and all(map(is_number, box))):
        raise InvalidDetections(f"{where} has no bbox of four numbers")
    x, y, width, height = map(float, box)
    return GivenBox((x, y, width, height), float(score) if isinstance(score, int | float) else None)


def parse_box_field(value: object, field: str) -> GivenBoxes:
    """Boxes from a field of photo.json: a list of [x, y, width, height], or of objects with `bbox` and `score`.

    Raises UnusableFile.
    """
    if value is None:
        return GivenBoxes()
    entries = value if isinstance(value, list) else [None]
    try:
        boxes = [
            parse_box(entry if isinstance(entry, dict) else {"bbox": entry}, f"{field}[{number}]")
            for number, entry in enumerate(entries)
        ]
    except InvalidDetections as problem:
        raise UnusableFile(f"its metadata: {problem}; {FIELD_HINT}") from problem
    return GivenBoxes(tuple(boxes))


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
