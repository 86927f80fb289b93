"""What is evaluated: images with their vectors, classes and captions. N images · D dimensions

A folder of folders of images: each folder's name is a class, `photo.txt` beside `photo.jpg` its caption.

The folders' names in more languages, from a text file.

A collection's images as they are stored: vector, label, caption. Nothing is embedded again.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from weaviate import WeaviateClient

from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import CAPTION, LABEL, PATH
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.image_files import format_skipped, is_image_file
from clip_vectorizer.query.evaluation.statistics import IntegerArray
from clip_vectorizer.query.prompts import HAN
from clip_vectorizer.vectors import Vectors

DIVIDER = re.compile(r"\s+·\s+")  # between the languages of one caption
IMAGES_PER_STEP = 64
ROWS_PER_PAGE = 500
ROWS_PER_PROGRESS = 10_000  # of progress
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image before it has a vector."""

    path: str
    label: str
    caption: str  # "" where there is none


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images of at least two classes."""

    source: str  # as the user named it
    items: tuple[LabelledImage, ...]
    vectors_nd: Vectors
    left_out: tuple[tuple[str, str], ...] = ()  # path and reason of those that could not be used
    skipped: str = ""  # number and extensions of the folder's files that are neither images of a class nor captions

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(sorted({item.label for item in self.items}))

    @property
    def class_n(self) -> IntegerArray:
        """(N,): the number of each image's class."""
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers[item.label] for item in self.items], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class LanguageCaptions:
    """The captions of one language, and whose they are."""

    language: str
    texts: tuple[str, ...]
    image_n: IntegerArray  # which image each belongs to

    @property
    def names(self) -> tuple[str, ...]:
        """Each different one once, in the order of their first image."""
        return tuple(dict.fromkeys(self.texts))

    @property
    def name_n(self) -> IntegerArray:
        """For each caption its number among `names`."""
        numbers = {name: number for number, name in enumerate(self.names)}
        return np.array([numbers[text] for text in self.texts], dtype=np.int64)


def require_two_classes(labelled: LabelledImages) -> LabelledImages:
    """Raises InputError unless there are images of two classes."""
    if not labelled.items:
        raise InputError(f"{labelled.source}: no image in it can be used; it needs a folder of images for every class")
    if len(labelled.classes) < 2:
        raise InputError(
            f"{labelled.source}: all images are of one class, {labelled.classes[0]!r}; "
            "an evaluation chooses between classes: give at least two"
        )
    return labelled


def group_captions(items: Sequence[LabelledImage]) -> list[LanguageCaptions]:
    """`cat · 猫` is one caption in each of two languages. Images without a caption are left out."""
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
    """By language, the first part in each. Which language it is, is told by the script alone: Han is Chinese."""
    parts = [part for part in DIVIDER.split(" ".join(caption.split())) if part]
    return {detect_language(part): part for part in reversed(parts)}


def detect_language(text: str) -> str:
    return "zh" if HAN.search(text) else "en"


EmbeddingOutcome = Vectors | SidecarRefused | str


class ImageEncoder(Protocol):
    def embed_each_image(self, images: Sequence[bytes]) -> list[Vectors | SidecarRefused]: ...


def load_labelled_folder(folder: Path, encoder: ImageEncoder, progress: Progress) -> LabelledImages:
    """Every image under `folder`, embedded once. What cannot be read is in `left_out`.

    Raises InputError when that leaves less than two classes.
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
    """In the order of their paths. Raises InputError for a folder whose images lie in no folder of their class."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name one that has a folder of images for every class")
    files = sorted(file for file in folder.rglob("*") if is_image_file(file) and file.is_file())
    items = [LabelledImage(file.relative_to(folder).as_posix(), file.parent.name, read_caption(file)) for file in files]
    in_folders = [item for item in items if "/" in item.path]
    if not in_folders:
        found = f"{len(items)} images lie in it, but" if items else "it holds no images, and"
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
    """A caption that is not UTF-8 text is none."""
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
        return file.read_bytes() or "the file is empty (0 bytes)"
    except OSError as error:
        return error.strerror or str(error)


def read_names(file: Path, classes: Sequence[str]) -> list[dict[str, str]]:
    """One mapping a language, from a folder's name to its name there: of `animals · 动物` one mapping.

    Raises InputError for a file that cannot be read, and for a class without as many names as the others.
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
        raise InputError(f"{file}: {error}; name a UTF-8 text file of lines such as `animals · 动物`") from error


LabelledRow = tuple[LabelledImage, Vectors | None]


def load_labelled_collection(
    client: WeaviateClient, url: str, collection: str, vector: str, tenant: str | None, progress: Progress
) -> LabelledImages:
    """Every image with a label and a vector; the others are in `left_out`. Raises InputError as `checked` does."""
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
) -> Iterator[LabelledRow]:
    """In the order of their ids."""
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
