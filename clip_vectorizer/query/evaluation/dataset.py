"""Labelled images with vectors, classes and captions, read from a folder of folders or from a collection.

In a folder, the name of a subfolder is a class, and `photo.txt` next to `photo.jpg` is its caption. Images of a
collection are used as stored; nothing is embedded again.

N images · D dimensions
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.counts import format_count
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import CAPTION, LABEL, PATH
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.image_files import format_skipped, is_image_file
from clip_vectorizer.images.opener import make_plain
from clip_vectorizer.query.evaluation.statistics import IntegerArray
from clip_vectorizer.query.prompts import HAN
from clip_vectorizer.vectors import Vectors

DIVIDER = re.compile(r"\s+·\s+")  # between the languages of one caption
IMAGES_PER_STEP = 64
ROWS_PER_PAGE = 500
ROWS_PER_PROGRESS = 10_000  # between lines of progress
Progress = Callable[[str], None]
EmbeddingOutcome = Vectors | SidecarRefused | str


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image without its vector."""

    path: str
    label: str
    caption: str  # "" where there is none


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images of at least two classes."""

    source: str  # as given by the user
    items: tuple[LabelledImage, ...]
    vectors_nd: Vectors
    left_out: tuple[tuple[str, str], ...] = ()  # path and reason of images that could not be used
    skipped: str = ""  # number and extensions of the folder's files that are neither images of a class nor captions

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({item.label for item in self.items}))

    @property
    def class_n(self) -> IntegerArray:
        """(N,): class number of each image."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[item.label] for item in self.items], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LanguageCaptions:
    """The captions of one language."""

    language: str
    texts: tuple[str, ...]
    image_n: IntegerArray  # the image of each caption

    @property
    def names(self) -> tuple[str, ...]:
        """Different captions, in the order of their first image."""
        return tuple(dict.fromkeys(self.texts))

    @property
    def name_n(self) -> IntegerArray:
        """(captions,): index of each caption in `names`."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return np.array([numbers[text] for text in self.texts], dtype=np.int64)


def require_two_classes(labelled: LabelledImages) -> LabelledImages:
    """Return `labelled`. Raises InputError unless there are images of two classes."""
    if not labelled.items:
        raise InputError(f"{labelled.source}: it contains no usable images; give a folder of images for every class")
    if len(labelled.classes) < 2:
        raise InputError(
            f"{labelled.source}: all images are of one class, {labelled.classes[0]!r}; "
            "an evaluation needs at least two classes"
        )
    return labelled


def group_captions(items: Sequence[LabelledImage]) -> list[LanguageCaptions]:
    """Return captions by language: `cat · 猫` is one caption in each of two. Images without captions are skipped."""
    found: dict[str, list[tuple[int, str]]] = {}
    for index, item in enumerate(items):
        for language, text in split_languages(item.caption).items():
            found.setdefault(language, []).append((index, text))
    return [
        LanguageCaptions(
            language, tuple(text for _, text in pairs), np.array([index for index, _ in pairs], dtype=np.int64)
        )
        for language, pairs in sorted(found.items())
    ]


def split_languages(caption: str) -> Mapping[str, str]:
    """Return the first part in each language. The language follows from the script: Han is Chinese.

    >>> split_languages("cat · 猫")
    {'zh': '猫', 'en': 'cat'}
    """
    parts = [part for part in DIVIDER.split(" ".join(caption.split())) if part]
    return {detect_language(part): part for part in reversed(parts)}


def detect_language(text: str) -> str:
    return "zh" if HAN.search(text) else "en"


class ImageEncoder(Protocol):
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


def load_labelled_folder(folder: Path, encoder: ImageEncoder, progress: Progress) -> LabelledImages:
    """Embed every image under `folder`. Unreadable files are in `left_out`.

    Raises InputError when fewer than two classes remain.
    """
    items = list_folder_images(folder)
    outcomes = list(embed_images(folder, items, encoder, progress))
    good = [(item, outcome) for item, outcome in zip(items, outcomes, strict=True) if isinstance(outcome, np.ndarray)]
    bad = [
        (item.path, str(each)) for item, each in zip(items, outcomes, strict=True) if not isinstance(each, np.ndarray)
    ]
    vectors_nd = np.stack([vector for _, vector in good]) if good else np.empty((0, 0), dtype=np.float32)
    skipped = format_skipped(list_skipped_files(folder, items))
    return require_two_classes(
        LabelledImages(str(folder), tuple(item for item, _ in good), vectors_nd, tuple(bad), skipped)
    )


def list_folder_images(folder: Path) -> list[LabelledImage]:
    """Return images in the order of their paths. Raises InputError if none is in a folder of its class."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that contains a folder of images for every class")
    files = sorted(file for file in folder.rglob("*") if is_image_file(file) and file.is_file())
    items = [LabelledImage(file.relative_to(folder).as_posix(), file.parent.name, read_caption(file)) for file in files]
    in_folders = [item for item in items if "/" in item.path]
    if not in_folders:
        found = f"it contains {format_count(len(items), 'image')}, but" if items else "it contains no images, and"
        raise InputError(
            f"{folder}: {found} no folder for a class; sort them into folders such as {folder}/cat and {folder}/dog"
        )
    return in_folders


def list_skipped_files(folder: Path, items: Sequence[LabelledImage]) -> list[Path]:
    """Return the files under `folder` that are neither one of `items` nor its caption, in the order of their paths."""
    images = {folder / item.path for item in items}
    used = images | {caption_file(image) for image in images}
    return sorted(file for file in folder.rglob("*") if file not in used and file.is_file())


def caption_file(image: Path) -> Path:
    return image.with_suffix(".txt")


def read_caption(file: Path) -> str:
    """Return the caption; empty where there is none, or it is not UTF-8 text."""
    try:
        return caption_file(file).read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def embed_images(
    folder: Path, items: Sequence[LabelledImage], encoder: ImageEncoder, progress: Progress
) -> Iterator[EmbeddingOutcome]:
    for start in range(0, len(items), IMAGES_PER_STEP):
        files = [read_image_file(folder / item.path) for item in items[start : start + IMAGES_PER_STEP]]
        answers = iter(encoder.embed_each_image([file for file in files if isinstance(file, bytes)]))
        yield from [next(answers) if isinstance(file, bytes) else file for file in files]
        progress(f"{min(start + IMAGES_PER_STEP, len(items))} of {len(items)} images embedded")


def read_image_file(file: Path) -> bytes | str:
    try:
        return make_plain(file.read_bytes()) or "the file is empty (0 bytes)"
    except OSError as error:
        return error.strerror or str(error)


def read_names(file: Path, classes: Sequence[str]) -> list[dict[str, str]]:
    """Return one mapping per language, from the name of a folder to its name there: lines like `animals · 动物`.

    Raises InputError for an unreadable file, and for a class with fewer names than the others.
    """
    lines = [DIVIDER.split(line.strip()) for line in read_names_file(file).splitlines() if line.strip()]
    others = {first: rest for first, *rest in lines}
    missing = [name for name in classes if name not in others]
    if missing:
        raise InputError(f"{file}: no line for {', '.join(map(repr, missing))}; each begins with a folder's name")
    counts = {name: len(others[name]) for name in classes}
    if min(counts.values()) != max(counts.values()):
        few = min(counts, key=lambda name: counts[name])
        raise InputError(f"{file}: {few!r} has {counts[few]} more names, others have {max(counts.values())}")
    return [{name: others[name][each] for name in classes} for each in range(max(counts.values()))]


def read_names_file(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}; give a UTF-8 text file of lines such as `animals · 动物`") from error


def load_labelled_collection(
    client: WeaviateClient, url: str, collection: str, vector: str, tenant: str | None, progress: Progress
) -> LabelledImages:
    """Read every image with a label and a vector; others are in `left_out`. Raises InputError for a single class."""
    good: list[tuple[LabelledImage, Vectors]] = []
    bad: list[tuple[str, str]] = []
    for item, vector_d in iterate_labelled_rows(client, url, collection, vector, tenant):
        if vector_d is None or not item.label:
            bad.append((item.path, "stored without a vector" if vector_d is None else "stored without a label"))
            continue
        good.append((item, vector_d))
        if len(good) % ROWS_PER_PROGRESS == 0:
            progress(f"{len(good)} stored images read")
    vectors_nd = np.stack([vector_d for _, vector_d in good]) if good else np.empty((0, 0), dtype=np.float32)
    return require_two_classes(
        LabelledImages(f"collection {collection}", tuple(item for item, _ in good), vectors_nd, tuple(bad))
    )


def iterate_labelled_rows(
    client: WeaviateClient, url: str, collection: str, vector: str, tenant: str | None = None
) -> Iterator[tuple[LabelledImage, Vectors | None]]:
    """Yield images in the order of their ids."""
    whole = client.collections.use(collection)
    images = whole.with_tenant(tenant) if tenant else whole
    with weaviate_errors(url):
        for row in images.iterator(
            include_vector=True, return_properties=[PATH, LABEL, CAPTION], cache_size=ROWS_PER_PAGE
        ):
            path, label, caption = (str(row.properties.get(name) or "") for name in (PATH, LABEL, CAPTION))
            values = row.vector.get(vector)
            yield (
                LabelledImage(path or str(row.uuid), label, caption),
                np.asarray(values, dtype=np.float32) if values else None,
            )
