"""Phrase grounding: where in a picture are the things that a sentence names?

phrases -> prompts -> S = O P^T -> probability -> threshold, suppression, the best few -> boxes, or none: the phrase is
not in the picture.
A file goes to the sidecar, whose model finds regions for it; the regions of a stored image come from the database.

P phrases · N regions · B background prompts · M texts · D dimensions
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypedDict

import numpy as np

from clip_vectorizer.address_guard import AddressGuard
from clip_vectorizer.client import Groundings, ModelInfo, PhraseScores, RegionVectors, lacks_stored_regions
from clip_vectorizer.errors import ImageRefused, InputError, SidecarRefused
from clip_vectorizer.images.opener import DecodedImage, decode_image
from clip_vectorizer.phrase_probability import BACKGROUND, calibrate
from clip_vectorizer.query.choices import GROUND_NMS, GROUND_THRESHOLD, GROUND_TOP
from clip_vectorizer.query.grounding.groundings import PictureGroundings
from clip_vectorizer.query.grounding.image_names import GroundInput, find_stored_key
from clip_vectorizer.query.grounding.phrases import Phrase, find_phrases, locate_phrases
from clip_vectorizer.query.grounding.plurals import find_singular
from clip_vectorizer.query.grounding.region_reader import RegionReader, StoredRegions
from clip_vectorizer.query.grounding.selection import BoxSelection, RegionScores, select_boxes
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import name_image, read_or_error, shorten_name
from clip_vectorizer.query.prompts import PromptSet, fill_templates, select_prompt_set
from clip_vectorizer.vectors import Vectors, ensemble

NO_GROUNDER, NO_ROUTE = 501, (404, 405)


class GroundArguments(TypedDict, total=False):
    """Keyword arguments of `ground`: `search.ground("scene.png", "a cat", threshold=0.7, top=1)`."""

    phrases: Sequence[str] | None  # what to look for, instead of the sentence's noun phrases
    stored: bool  # a name is that of a stored image, also if there is a file of this name
    threshold: float  # least probability of a box, 0..1
    nms: float  # two boxes of a phrase that overlap (IoU) by more are one
    top: int  # most boxes of a phrase
    exclusive: bool  # a place goes to the phrase that fits best; other phrases do not get it
    prompts: str | PromptSet | None  # name of a prompt set, or @FILE with one template per line
    templates: Sequence[str] | None  # templates of your own, each with one {}


@dataclass(frozen=True, slots=True)
class GroundOptions:
    """`GroundArguments` with defaults."""

    phrases: Sequence[str] | None = None
    stored: bool = False
    threshold: float = GROUND_THRESHOLD
    nms: float = GROUND_NMS
    top: int = GROUND_TOP
    exclusive: bool = False
    prompts: str | PromptSet | None = None
    templates: Sequence[str] | None = None

    @property
    def selection(self) -> BoxSelection:
        return BoxSelection(self.threshold, self.nms, self.top, self.exclusive)

    @property
    def prompt_set(self) -> PromptSet:
        return select_prompt_set(self.prompts, self.templates)


class PictureGrounder(Protocol):
    """The sidecar, as far as grounding needs it."""

    def embed_texts(self, texts: Sequence[str]) -> Vectors: ...
    def ground(self, image: bytes, phrases: Sequence[Sequence[str]]) -> Groundings: ...
    def score_regions(self, regions: RegionVectors, phrases: Sequence[Sequence[str]]) -> PhraseScores: ...


@dataclass(frozen=True, slots=True)
class GroundContext:
    """The model, the sidecar and the stored regions that grounding uses."""

    info: ModelInfo
    sidecar: PictureGrounder
    regions: RegionReader | None  # None: connected without a collection
    guard: AddressGuard


def ground(image: GroundInput, sentence: str, options: GroundOptions, context: GroundContext) -> PictureGroundings:
    """Ground a sentence in a picture, see ImageSearch.ground."""
    return ground_picture(image, sentence, options, context)[0]


def ground_picture(
    image: GroundInput, sentence: str, options: GroundOptions, context: GroundContext
) -> tuple[PictureGroundings, DecodedImage | None]:
    """As `ground`, with the decoded picture, which was needed for its size; None for a stored image."""
    phrases = choose_phrases(sentence, options.phrases)
    selection, templates = options.selection, options.prompt_set
    prompts = [fill_prompts(phrase.text, templates, context.info.model) for phrase in phrases]
    key = find_stored_key(image, options.stored)
    if key is not None:
        if not context.info.texts:
            raise build_no_texts_error(context.info)
        stored = fetch_regions(key, context.regions)
        groundings = select_boxes(compare_stored(stored, prompts, context), phrases, selection, None)
        return PictureGroundings(stored.path, sentence, groundings, selection.threshold, None, stored=True), None
    name = name_picture(image)
    data, decoded = read_picture(image, name, context.guard)
    scores = compare_picture(data, name, prompts, context)
    groundings = select_boxes(scores, phrases, selection, decoded.size)
    found = PictureGroundings(name, sentence, groundings, selection.threshold, decoded.size, stored=False)
    return found, decoded


def choose_phrases(sentence: str, listed: Sequence[str] | None) -> list[Phrase]:
    return find_phrases(sentence) if listed is None else locate_phrases(listed, sentence)


def fill_prompts(text: str, prompts: PromptSet, model: str) -> tuple[str, ...]:
    """The prompts of a phrase, in the singular: a region shows one thing."""
    return fill_templates(prompts.for_label(text, model).templates, find_singular(text))


def fetch_regions(key: str, regions: RegionReader | None) -> StoredRegions:
    if regions is None:
        raise InputError(
            f"{shorten_name(key)}: no such file, and connected without a collection; give a file, "
            "or connect to the collection that holds the image"
        )
    return regions.fetch(key)


def compare_stored(stored: StoredRegions, prompts: Sequence[Sequence[str]], context: GroundContext) -> RegionScores:
    """S = O P^T, with no pass over the picture: its regions have vectors."""
    try:
        found = context.sidecar.score_regions(stored.vectors, prompts)
    except SidecarRefused as refusal:
        if not lacks_stored_regions(refusal):
            raise
        found = compare_vectors(stored.vectors.vectors_nd, prompts, context)
    return RegionScores(stored.boxes_n4, found.similarities_pn, found.probabilities_pn)


def compare_vectors(vectors_nd: Vectors, prompts: Sequence[Sequence[str]], context: GroundContext) -> PhraseScores:
    """As the sidecar does where no head was trained for its model; an older one does it for pictures only."""
    info, texts = context.info, [prompt for each in prompts for prompt in each]
    texts_md = context.sidecar.embed_texts([*texts, *BACKGROUND])
    ends = np.cumsum([len(each) for each in prompts])
    phrases_pd = np.stack([ensemble(rows_nd) for rows_nd in np.split(texts_md[: len(texts)], ends[:-1])])
    similarities_pn = phrases_pd @ vectors_nd.T
    background_bn = texts_md[len(texts) :] @ vectors_nd.T
    return PhraseScores(similarities_pn, calibrate(similarities_pn, background_bn, info.logit_scale, info.logit_bias))


def name_picture(image: GroundInput) -> str:
    return "" if isinstance(image, Hit | StoredImage) else name_image(image, 0)


def read_picture(image: GroundInput, name: str, guard: AddressGuard) -> tuple[bytes, DecodedImage]:
    """The file to send, and its upright picture. Raises InputError for one that cannot be read."""
    assert not isinstance(image, Hit | StoredImage)
    data = read_or_error(image, guard)
    if isinstance(data, InputError):
        raise InputError(f"{shorten_name(name)}: {data}")
    try:
        return data, decode_image(data)
    except ImageRefused as error:
        raise InputError(f"{shorten_name(name)}: {error.explain('give a JPEG or PNG file')}") from error


def compare_picture(data: bytes, name: str, prompts: Sequence[Sequence[str]], context: GroundContext) -> RegionScores:
    """Raises InputError for a picture that the sidecar refuses and for a model without texts, SidecarRefused where it
    has no grounder.
    """
    try:
        found = context.sidecar.ground(data, prompts)
    except SidecarRefused as refusal:
        if refusal.status == NO_GROUNDER and not context.info.texts:
            raise build_no_texts_error(context.info) from refusal
        raise explain_refusal(refusal, name) from refusal
    return RegionScores(found.regions.boxes_n4, found.similarities_pn, found.probabilities_pn)


def build_no_texts_error(info: ModelInfo) -> InputError:
    """A grounder that reads texts by itself, such as OWLv2, grounds files beside any model."""
    return InputError(
        f"phrases are texts, and {info.model} is an image-only model; ground with the sidecar of a CLIP "
        "(--vectorizer-url), or search by image (`clip-search --image FILE`)"
    )


def explain_refusal(refusal: SidecarRefused, name: str) -> SidecarRefused | InputError:
    if refusal.status == NO_GROUNDER:
        return SidecarRefused(
            refusal.status,
            f"the sidecar has no grounder ({refusal}); start one with `clip-vectorizer serve --grounder auto`, "
            "or ground a stored image that has regions (--stored)",
        )
    if refusal.status in NO_ROUTE:
        return SidecarRefused(
            refusal.status,
            "the sidecar is older than this command and has no POST /ground; update it, or ground a stored image "
            "that has regions (--stored)",
        )
    if refusal.status in (413, 422):
        reason = refusal.problem.reason if refusal.problem else str(refusal)
        return InputError(f"{shorten_name(name)}: {reason}")
    return refusal
