"""Captions and metadata in files next to an image: x.txt or x.jpg.txt, x.json or x.jpg.json."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ingest.coco import parse_box_field
from ingest.items import Facts, UnusableFile
from ingest.sources.base import SourceOptions
from ingest.sources.property_values import parse_properties, parse_text

CAPTION_SUFFIX = ".txt"
METADATA_SUFFIX = ".json"
LABEL_SUFFIX = ".cls"  # class in a WebDataset shard, in archives only
ANNOTATION_SUFFIXES = (CAPTION_SUFFIX, METADATA_SUFFIX, LABEL_SUFFIX)
MAX_CAPTION_BYTES = 100_000
MAX_METADATA_BYTES = 16_000_000  # some labelling tools embed the image in it


@dataclass(frozen=True, slots=True)
class Annotation:
    """A small file that belongs to an image. `read(n)` returns at most n bytes and may raise OSError."""

    name: str
    read: Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Annotations:
    caption: Annotation | None = None
    metadata: Annotation | None = None
    label: Annotation | None = None


StemFunction = Callable[[str], Sequence[str]]


def list_stems(image: str) -> Sequence[str]:
    """Return the possible names, without extension, of this image's annotations, the most specific first."""
    return image, os.path.splitext(image)[0]  # noqa: PTH122


class AnnotationIndex:
    """Index of the annotations among the file names of a folder or archive."""

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

    def find(self, image: str, kind: str) -> str | None:
        """Return the annotation of an image. x.jpg.txt comes before x.txt, which x.png may share."""
        by_stem = self._names.get(kind, {})
        return next((by_stem[stem] for stem in self._stems(image) if stem in by_stem), None)

    def is_annotation(self, name: str) -> bool:
        stem, kind = os.path.splitext(name)  # noqa: PTH122
        return self._names.get(kind.lower(), {}).get(stem) == name

    def list_unmatched(self, images: Iterable[str]) -> list[str]:
        """Return the annotations that belong to none of the images."""
        stems = {stem for image in images for stem in self._stems(image)}
        return [name for kind in self._names.values() for stem, name in kind.items() if stem not in stems]


class SampleIndex(AnnotationIndex):
    """Index of the annotations in an archive, where those of a WebDataset sample may be named apart from its images.

    A sample is called as its members up to their first dot. An annotation that no image has as its stem belongs to all
    images of its sample that have none of their own: sample0.outputs.txt to sample0.input.png.
    """

    def __init__(self, names: Iterable[str], images: Iterable[str]) -> None:
        """`images`: the paths of all images, or at least of those before the end of a broken archive."""
        super().__init__(names, ANNOTATION_SUFFIXES, list_sample_stems)
        known = {stem for by_stem in self._names.values() for stem in by_stem}
        taken = {stem for image in images for stem in list_stems(image) if stem in known}
        self._by_sample: dict[str, dict[str, str]] = {kind: {} for kind in ANNOTATION_SUFFIXES}
        for kind, by_stem in self._names.items():
            for stem, name in by_stem.items():
                if stem not in taken:
                    self._by_sample[kind].setdefault(parse_sample(stem), name)

    def find(self, image: str, kind: str) -> str | None:
        return super().find(image, kind) or self._by_sample.get(kind, {}).get(parse_sample(image))

    def find_dropped(self, images: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield each annotation that is used for none of the images, and the reason."""
        used, samples = set[str](), set[str]()
        for image in images:
            used.update(name for kind in ANNOTATION_SUFFIXES if (name := self.find(image, kind)))
            samples.add(parse_sample(image))
        for kind, by_stem in self._names.items():
            for stem, name in by_stem.items():
                if name not in used:
                    has_image = parse_sample(stem) in samples
                    yield name, f"its sample has another {kind} file" if has_image else "belongs to no image"


def list_sample_stems(path: str) -> Sequence[str]:
    """As `list_stems`, and as WebDataset, where a sample's name ends at its first dot: 0001.left.jpg, 0001.json."""
    return *list_stems(path), parse_sample(path)


def parse_sample(path: str) -> str:
    """Return the sample that a member belongs to.

    >>> parse_sample("cats/0001.left.jpg")
    'cats/0001'
    """
    folder, slash, name = path.rpartition("/")
    return folder + slash + name.partition(".")[0]


def read_facts(annotations: Annotations, label: str, options: SourceOptions, default_label: str = "") -> Facts:
    """Combine an image's annotations with the label of its folder; `default_label` applies if there is no other.

    The .txt file precedes the caption in the .json file. The label in the .json file precedes that of the folder, which
    precedes the .cls file. Raises UnusableFile for an annotation that cannot be used.
    """
    fields = read_fields(annotations.metadata, required=bool(options.columns)) if annotations.metadata else {}
    caption = read_text(annotations.caption, "caption") if annotations.caption else ""
    return Facts(
        label=parse_text(fields.get(options.label_column or "label"))
        or label
        or read_class_label(annotations.label)
        or default_label,
        caption=caption or parse_text(fields.get(options.caption_column or "caption")),
        metadata=parse_properties(fields, options.columns),
        boxes=parse_box_field(fields.get(options.box_field), options.box_field) if options.box_field else None,
    )


def read_class_label(annotation: Annotation | None) -> str:
    return read_text(annotation, "label") if annotation else ""


def read_text(annotation: Annotation, what: str) -> str:
    try:
        return read_annotation(annotation, what, MAX_CAPTION_BYTES).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise UnusableFile(f"its {what} {annotation.name} is not UTF-8 text; save it as UTF-8") from error


def read_fields(annotation: Annotation, required: bool) -> Mapping[str, object]:
    """Return the fields of a .json file. Unless `required`, a file that is no JSON object is ignored: {}."""
    try:
        fields = json.loads(read_annotation(annotation, "metadata", MAX_METADATA_BYTES).decode("utf-8-sig"))
        problem = "" if isinstance(fields, dict) else f"not a JSON object but a {type(fields).__name__}"
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested too deeply
        problem = f"not JSON ({error})"
    if problem and required:
        raise UnusableFile(f"its metadata {annotation.name} is {problem}")
    return {} if problem else fields


def read_annotation(annotation: Annotation, what: str, limit: int) -> bytes:
    try:
        data = annotation.read(limit + 1)
    except UnusableFile as problem:
        raise UnusableFile(f"its {what} {annotation.name} is {problem}") from problem
    except OSError as error:
        raise UnusableFile(f"its {what} {annotation.name} cannot be read ({error.strerror or error})") from error
    if len(data) > limit:
        raise UnusableFile(f"its {what} {annotation.name} is longer than {limit} bytes")
    return data


def list_fact_options(options: SourceOptions) -> tuple[object, ...]:
    """Return the options that change the facts, for the stamp."""
    usual = options.exif, options.columns, options.label_column, options.caption_column
    return (*usual, options.box_field) if options.box_field else usual  # without it, stamps of earlier versions hold
