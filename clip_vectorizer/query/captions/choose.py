"""The way to captions that a caller names, with its labels or its model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypedDict, runtime_checkable

from clip_vectorizer.client import CaptionerInfo
from clip_vectorizer.errors import InputError, SidecarRefused
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.phrase_probability import BACKGROUND
from clip_vectorizer.query.captions.ways import (
    CaptionWay,
    LabelWay,
    ModelWay,
    NeighbourWay,
    PictureDescriber,
    RegionRules,
    RegionWay,
)
from clip_vectorizer.query.choices import (
    CAPTION_LABELS,
    CAPTION_MODEL,
    CAPTION_NEIGHBOURS,
    CAPTION_REGIONS,
    CAPTION_WAYS,
)
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.labels.label_sets import compute_set_id
from clip_vectorizer.query.prompts import PromptSet
from clip_vectorizer.query.zeroshot.classify import ClassifyContext, ClassifyOptions, check_label_list, prepare_labels

NO_CAPTIONER = 501
MAX_TOP = 100  # labels or neighbours of one caption


class CaptionArguments(TypedDict, total=False):
    """Keyword arguments of `write_captions`."""

    labels: Sequence[str] | None  # the names that captions are made of, by labels and by regions
    label_set: str | None  # a stored set of them
    prompts: str | PromptSet | None  # as in `classify`
    top: int  # labels of a caption, or neighbours that vote; default 1
    least: float  # by regions: least probability of a thing, 0 to 1; default 0.3
    filters: FilterInput  # which images
    limit: int | None  # images to be captioned
    redo: bool  # write captions of an earlier run of the same way again
    batch: int | None  # by model: images of one request; default 4


@dataclass(frozen=True, slots=True)
class CaptionOptions:
    """`CaptionArguments` with defaults. Raises InputError for an invalid value."""

    labels: Sequence[str] | None = None
    label_set: str | None = None
    prompts: str | PromptSet | None = None
    top: int = 1
    least: float = RegionRules().least
    filters: FilterInput = None
    limit: int | None = None
    redo: bool = False
    batch: int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.top <= MAX_TOP:
            raise InputError(f"top {self.top}: expected how many labels or neighbours make a caption, 1 to {MAX_TOP}")
        if not 0 <= self.least <= 1:
            raise InputError(f"least {self.least}: expected the least probability of a thing, 0 to 1")
        if self.batch is not None and self.batch < 1:
            raise InputError(f"batch {self.batch}: expected how many images a request has, 1 or more")
        if self.limit is not None and self.limit < 0:
            raise InputError(f"limit {self.limit}: expected how many images are captioned, 0 or more")


@runtime_checkable
class CaptioningSidecar(PictureDescriber, Protocol):
    """The sidecar, as far as the way `model` needs it."""

    def captioner(self) -> CaptionerInfo | None: ...


def choose_way(by: str, options: CaptionOptions, context: ClassifyContext) -> CaptionWay:
    """Raises InputError (no such way, no labels, no regions), Mismatch, SidecarRefused (no captioner)."""
    info = context.info
    model = f"{info.model}@{info.revision}"
    if by == CAPTION_MODEL:
        return choose_model(context, options)
    if by == CAPTION_NEIGHBOURS:
        return NeighbourWay(f"{by}:{options.top} {model}", options.top)
    if by not in (CAPTION_LABELS, CAPTION_REGIONS):
        meant = did_you_mean(by, CAPTION_WAYS)
        raise InputError(f"no way to captions is called {by!r}; {meant}there are {', '.join(CAPTION_WAYS)}")
    if not options.labels and not options.label_set:
        raise InputError(f"captions by {by} need labels; give some, or the name of a label set")
    chosen = ClassifyOptions(prompts=options.prompts, label_set=options.label_set)
    labels, labels_ld = prepare_labels(check_label_list(options.labels), None, chosen, context)
    names, named = [label.text for label in labels], f"{compute_set_id(labels, options.label_set or '')} {model}"
    if by == CAPTION_LABELS:
        return LabelWay(f"{by}:{options.top} {named}", names, labels_ld, options.top)
    if context.collection is not None:
        context.collection.open_regions()  # raises where none were ever stored
    rules = RegionRules(options.least)
    background_bd = context.encoder.embed_texts(BACKGROUND)
    return RegionWay(f"{by}:{options.least:g} {named}", names, labels_ld, background_bd, info, rules)


def choose_model(context: ClassifyContext, options: CaptionOptions) -> ModelWay:
    """Raises SidecarRefused where the sidecar has no captioner."""
    sidecar = context.encoder
    captioner = sidecar.captioner() if isinstance(sidecar, CaptioningSidecar) else None
    if captioner is None or not isinstance(sidecar, CaptioningSidecar):
        raise SidecarRefused(
            NO_CAPTIONER,
            "the sidecar writes no captions; start it with `clip-vectorizer serve --captioner transformers:PATH` or "
            "coca:ARCHITECTURE::TAG, or choose another way: --by labels",
        )
    way = ModelWay(f"{CAPTION_MODEL} {captioner.name}@{captioner.revision}", sidecar)
    return way if options.batch is None else replace(way, batch=options.batch)
