"""Captions and metadata that lie beside an image: x.txt or x.jpg.txt, x.json or x.jpg.json."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingest.items import Facts, UnusableFile
from ingest.sources.base import SourceOptions
from ingest.sources.property_values import parse_properties, parse_text

CAPTION_SUFFIX, METADATA_SUFFIX, LABEL_SUFFIX = ".txt", ".json", ".cls"  # .cls: WebDataset's class, in archives only
MAX_CAPTION_BYTES = 100_000
MAX_METADATA_BYTES = 16_000_000  # some labelling tools put the image itself into it


@dataclass(frozen=True, slots=True)
class Annotation:
    """A small file that belongs to an image. `read` gives no more bytes than asked for, and may raise OSError."""

    name: str
    read: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Annotations:
    caption: Annotation | None = None
    metadata: Annotation | None = None
    label: Annotation | None = None


StemFunction = Callable[[str], Sequence[str]]


def list_stems(image: str) -> Sequence[str]:
    """What a note of this image may be called without its extension, the most particular first."""
    return image, os.path.splitext(image)[0]  # noqa: PTH122


class AnnotationIndex:
    """Which of these names are notes, and of which image."""

    def __init__(
        self,
        names: Iterable[str],
        kinds: tuple[str, ...] = (CAPTION_SUFFIX, METADATA_SUFFIX),
        stems: StemFunction = list_stems,
    ) -> None:
        self._stems = stems
        self._names: dict[str, dict[str, str]] = {kind: {} for kind in kinds}
        for name in names:
            stem, kind = os.path.splitext(name)  # noqa: PTH122 - a Path a file is slow for a million files
            if kind.lower() in self._names:
                self._names[kind.lower()].setdefault(stem, name)

    def __bool__(self) -> bool:
        return any(self._names.values())

    def of(self, image: str, kind: str) -> str | None:
        """The note of an image. x.jpg.txt comes before x.txt, which x.png may share."""
        by_stem = self._names.get(kind, {})
        return next((by_stem[stem] for stem in self._stems(image) if stem in by_stem), None)

    def has(self, name: str) -> bool:
        stem, kind = os.path.splitext(name)  # noqa: PTH122
        return self._names.get(kind.lower(), {}).get(stem) == name

    def without(self, images: Iterable[str]) -> list[str]:
        """The notes that belong to none of the images."""
        known = {stem for image in images for stem in self._stems(image)}
        return [name for kind in self._names.values() for stem, name in kind.items() if stem not in known]


def read_facts(notes: Annotations, label: str, options: SourceOptions, otherwise: str = "") -> Facts:
    """What the notes tell; `label` is what the folder does, `otherwise` what counts when nothing else tells a label.

    A .txt file comes before the .json file's caption, the .json file's label before the folder's, and that before the
    .cls file's. Raises UnusableFile for a note that cannot be used.
    """
    fields = read_fields(notes.metadata, wanted=bool(options.columns)) if notes.metadata else {}
    caption = read_text(notes.caption, "caption") if notes.caption else ""
    return Facts(
        label=parse_text(fields.get(options.label_column or "label"))
        or label
        or read_class_label(notes.label)
        or otherwise,
        caption=caption or parse_text(fields.get(options.caption_column or "caption")),
        metadata=parse_properties(fields, options.columns),
    )


def read_class_label(note: Annotation | None) -> str:
    return read_text(note, "label") if note else ""


def read_text(note: Annotation, what: str) -> str:
    try:
        return read_annotation(note, what, MAX_CAPTION_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UnusableFile(f"its {what} {note.name} is not UTF-8 text; save it as UTF-8") from error


def read_fields(note: Annotation, wanted: bool) -> Mapping[str, object]:
    """Unless properties are wanted, what is no JSON object is somebody else's file, and no reason to lose an image."""
    try:
        fields = json.loads(read_annotation(note, "metadata", MAX_METADATA_BYTES).decode("utf-8-sig"))
        problem = "" if isinstance(fields, dict) else f"no JSON object but a {type(fields).__name__}"
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
        problem = f"not JSON ({error})"
    if problem and wanted:
        raise UnusableFile(f"its metadata {note.name} is {problem}")
    return {} if problem else fields


def read_annotation(note: Annotation, what: str, limit: int) -> bytes:
    try:
        data = note.read(limit + 1)
    except UnusableFile as problem:
        raise UnusableFile(f"its {what} {note.name} is {problem}") from problem
    except OSError as error:
        raise UnusableFile(f"its {what} {note.name} cannot be read ({error.strerror or error})") from error
    if len(data) > limit:
        raise UnusableFile(f"its {what} {note.name} is longer than {limit} bytes")
    return data


def list_fact_options(options: SourceOptions) -> tuple[object, ...]:
    """The options that change the facts."""
    return options.exif, options.columns, options.label_column, options.caption_column
