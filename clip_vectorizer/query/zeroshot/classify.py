"""Zero-shot classification, from label texts, images and options to results. L labels · D dimensions"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TypedDict

import numpy as np
from PIL import Image
from weaviate import WeaviateClient

from clip_vectorizer.address_guard import PUBLIC_ONLY, AddressGuard
from clip_vectorizer.client import ModelInfo
from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.choices import AUTO, IMAGES, LABELS, MATMUL, STRATEGIES
from clip_vectorizer.query.connect import WeaviateImages
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageBatchEncoder, ImageInput
from clip_vectorizer.query.labels.label_sets import (
    LabelSetStore,
    WeaviateLabelSets,
    compute_set_id,
    resolve_label_set,
    store_part,
)
from clip_vectorizer.query.labels.label_store import Label, LabelStore, WeaviateLabels, build_labels, store_labels
from clip_vectorizer.query.labels.memory_labels import MemoryLabels
from clip_vectorizer.query.prompts import PromptSet, select_prompt_set
from clip_vectorizer.query.search.calls import QueryEncoder, SearchableCollection
from clip_vectorizer.query.zeroshot.comparison import (
    ComparisonStrategy,
    MatrixProduct,
    QueryPerImage,
    QueryPerLabel,
    choose_fastest,
)
from clip_vectorizer.query.zeroshot.predictions import PredictionStore, WeaviatePredictions, save_predictions
from clip_vectorizer.query.zeroshot.scores import (
    OTHER,
    Boost,
    Classifications,
    CosineScorer,
    DecisionRule,
    ImageBatch,
    Scorer,
)
from clip_vectorizer.query.zeroshot.sources import (
    NO_VECTOR,
    ClassifiedCollection,
    ClassifiedFiles,
    ClassifiedHits,
    ClassifySource,
    CollectionReader,
    WeaviateCollectionReader,
)
from clip_vectorizer.vectors import Vectors

ClassifyInput = ImageInput | Hit | StoredImage | Iterable[ImageInput] | Iterable[Hit] | Iterable[StoredImage] | None
PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine
SINGLE_IMAGE_TYPES = (str, bytes, os.PathLike, Image.Image, Hit, StoredImage)  # one image, not several
MIXED_INPUT = "the images are files and hits in one list; classify them in two calls"


class ClassifyArguments(TypedDict, total=False):
    """Keyword arguments of `classify`: `search.classify(None, ["cat", "dog"], prompts="photo-80", save=True)`."""

    prompts: str | PromptSet | None  # name of a prompt set, or @FILE with one template per line
    label_set: str | None  # use the label set of this name; with labels: create it, or add them to it
    strategy: str  # images, labels or matmul; auto chooses the fastest. All give the same labels
    filters: FilterInput  # which images of the collection, as in a search
    threshold: float | None  # least cosine of a label (SigLIP, or with shots: least score); below it: "other"
    boost: Boost | None  # few_shot(), linear_probe() or remove_means() instead of plain CLIP
    save: bool  # store each result with its image
    store_labels: bool  # False: leave nothing in the database; a later run embeds the labels again


@dataclass(frozen=True, slots=True)
class ClassifyOptions:
    """`ClassifyArguments` with defaults. Raises InputError for an invalid value or an invalid combination.

    >>> ClassifyOptions(strategy="matmull")
    Traceback (most recent call last):
        ...
    clip_vectorizer.errors.InputError: no strategy is called 'matmull'; did you mean matmul? there are auto, images, \
labels, matmul
    """

    prompts: str | PromptSet | None = None
    label_set: str | None = None
    strategy: str = AUTO
    filters: FilterInput = None
    threshold: float | None = None
    boost: Boost | None = None
    save: bool = False
    store_labels: bool = True

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            suggestion = did_you_mean(self.strategy, STRATEGIES)
            raise InputError(f"no strategy is called {self.strategy!r}; {suggestion}there are {', '.join(STRATEGIES)}")
        if self.boost is not None and self.strategy in (IMAGES, LABELS):
            raise InputError(
                f"the strategy {self.strategy} compares in the database, which computes plain cosines only; "
                "remove the strategy, or remove the boost"
            )
        if not self.store_labels and (self.strategy == IMAGES or self.label_set is not None):
            what = "a label set" if self.label_set is not None else f"the strategy {IMAGES}"
            raise InputError(f"{what} needs labels in the database; remove it, or store the labels")
        if self.threshold is not None and not -1 <= self.threshold <= 1:
            raise InputError(
                f"threshold {self.threshold}: expected the least similarity of a label, a cosine of -1 to 1; for a "
                "SigLIP, or with shots, the least score, 0 to 1"
            )

    def choose_logit_bias(self, info: ModelInfo) -> float | None:
        """Return the bias of a sigmoid model, which scores each label by itself; None where scores are shares.

        With a boost they are: its logits are no longer the model's, and its shots show one of the labels each. The
        share is then the label's probability if exactly one label fits, of a sigmoid model too.
        """
        return info.logit_bias if self.boost is None else None

    def check_source(self, are_files: bool, is_collection: bool) -> None:
        """Raise InputError for an option that does not work with this kind of images."""
        if not is_collection and self.filters is not None:
            raise InputError("a filter selects from the whole collection; remove it, or pass no images")
        if are_files and self.save:
            raise InputError("files have no object to store results in; ingest them first, or do not save")
        if are_files and self.strategy == LABELS:
            raise InputError("the strategy labels searches stored images; remove it for files")


def check_label_list(labels: Sequence[str] | str | None) -> Sequence[str]:
    """Return the labels; None gives none. Raises InputError for one string, whose letters would become labels."""
    if isinstance(labels, str):
        raise InputError(f"labels is the text {labels[:60]!r}; give a list of texts, for example ['cat', 'dog']")
    return labels or ()


@dataclass(frozen=True, slots=True)
class ClassificationStores:
    """What classification stores in the database and reads from it."""

    labels: LabelStore
    sets: LabelSetStore
    images: CollectionReader | None = None  # None: connected without a collection
    predictions: PredictionStore | None = None


@dataclass(frozen=True, slots=True)
class ClassifyContext:
    """The model and the stores that a classification uses."""

    info: ModelInfo
    encoder: QueryEncoder
    stores: ClassificationStores
    collection: SearchableCollection | None = None  # where a boost finds its shots
    guard: AddressGuard = PUBLIC_ONLY  # for images that are addresses


def classify(
    images: ClassifyInput,
    labels: Sequence[str] | None,
    templates: Sequence[str] | None,
    limit: int | None,
    options: ClassifyOptions,
    context: ClassifyContext,
) -> Classifications:
    """Classify images, see ImageSearch.classify. Raises all errors of the arguments before it returns."""
    if not options.store_labels:
        context = replace(context, stores=replace(context.stores, labels=MemoryLabels()))
    stores = context.stores
    source = choose_source(images, limit, options, stores.images, context.encoder, context.guard)
    competing, labels_ld = prepare_labels(check_label_list(labels), templates, options, context)
    scorer = build_scorer(competing, labels_ld, options.boost, context)
    results = limit_results(limit, classify_batches(source, competing, labels_ld, scorer, options, context))
    if not options.save or stores.predictions is None:
        return results
    return save_predictions(results, stores.predictions, compute_set_id(competing, options.label_set or ""))


def choose_source(
    images: ClassifyInput,
    limit: int | None,
    options: ClassifyOptions,
    collection: CollectionReader | None,
    encoder: ImageBatchEncoder,
    guard: AddressGuard,
) -> ClassifySource:
    """Return the source for this kind of images. Raises InputError for an option that does not work with it."""
    if limit is not None and limit < 0:
        raise InputError(f"limit {limit}: expected how many images are classified, 0 or more")
    if images is None:
        options.check_source(are_files=False, is_collection=True)
        reader = require_collection(collection)
        reader.check(options.filters)
        return ClassifiedCollection(reader, options.filters, limit)
    given: Iterator[ImageInput | Hit | StoredImage] = iter(
        [images] if isinstance(images, SINGLE_IMAGE_TYPES) else images
    )
    head = list(islice(given, 1))
    if not head:
        return ClassifiedFiles((), encoder, count=0)
    are_hits = isinstance(head[0], Hit | StoredImage)
    options.check_source(not are_hits, is_collection=False)
    limited = islice(chain(head, given), limit)
    if are_hits:
        return ClassifiedHits(list(map(require_hit, limited)), require_collection(collection))
    return ClassifiedFiles(map(require_file, limited), encoder, guard)


def require_hit(image: ImageInput | Hit | StoredImage) -> Hit | StoredImage:
    """Return the hit. Raises InputError for a file among hits."""
    if not isinstance(image, Hit | StoredImage):
        raise InputError(MIXED_INPUT)
    return image


def require_file(image: ImageInput | Hit | StoredImage) -> ImageInput:
    """Return the file. Raises InputError for a hit among files."""
    if isinstance(image, Hit | StoredImage):
        raise InputError(MIXED_INPUT)
    return image


def require_collection(collection: CollectionReader | None) -> CollectionReader:
    """Return the collection. Raises InputError if there is none."""
    if collection is None:
        raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
    return collection


def prepare_labels(
    labels: Sequence[str], templates: Sequence[str] | None, options: ClassifyOptions, context: ClassifyContext
) -> tuple[list[Label], Vectors]:
    """Return the labels and their vectors (L, D), both stored. A named set is stored last: its labels exist by then.

    Raises InputError for labels that cannot be used, and for a model without a text tower.
    """
    if not context.info.texts:
        raise InputError(
            f"labels are texts, and {context.info.model} is an image-only model; classify with the sidecar of a CLIP "
            "(--vectorizer-url), or find images like one (`clip-search --like PATH`)"
        )
    stores = context.stores
    prompts = select_prompt_set(options.prompts, templates)
    if options.label_set is None:
        competing, new_part = build_labels(labels, prompts, context.info), None
    else:
        competing, new_part = resolve_label_set(options.label_set, labels, prompts, context.info, stores.sets)
    if options.threshold is not None and any(label.text.casefold() == OTHER for label in competing):
        raise InputError(f"one label is called {OTHER!r}, the label of images below the threshold; rename it")
    if options.strategy == IMAGES and len(competing) > MAX_RESULTS:
        raise InputError(
            f"{len(competing)} labels and the strategy {IMAGES}: one search returns {MAX_RESULTS} labels at most; "
            "remove the strategy"
        )
    labels_ld = store_labels(competing, context.info.dimension, context.encoder, stores.labels)
    if new_part is not None:
        store_part(new_part, stores.sets)
    return competing, labels_ld


def build_scorer(labels: Sequence[Label], labels_ld: Vectors, boost: Boost | None, context: ClassifyContext) -> Scorer:
    """Return the boost's scorer, or plain CLIP without a boost."""
    if boost is None:
        return CosineScorer(labels_ld, context.info.logit_scale)
    return boost.scorer([label.text for label in labels], labels_ld, context.info.logit_scale, context.collection)


def limit_results(limit: int | None, results: Classifications) -> Classifications:
    """Yield the first `limit` results. On close, or at the limit, the threads behind `results` stop at once."""
    with closing(results):
        yield from islice(results, limit)


def classify_batches(
    source: ClassifySource,
    labels: Sequence[Label],
    labels_ld: Vectors,
    scorer: Scorer,
    options: ClassifyOptions,
    context: ClassifyContext,
) -> Classifications:
    """Compare and decide batch by batch."""
    names = [label.text for label in labels]
    rule = DecisionRule(
        names,
        labels_ld,
        context.info.logit_scale,
        options.threshold,
        scorer.cosines,
        exact=options.boost is None,
        logit_bias=options.choose_logit_bias(context.info),
    )
    strategy = choose_strategy(source, labels_ld, options)
    with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
        comparison = build_comparison(strategy, labels, labels_ld, scorer, context, pool)
        for read in source.batches(comparison.reads_vectors):
            batch, logits_nl = compute_logits(read, comparison, len(labels))
            yield from rule.classify(batch, logits_nl, build_vector_reader(batch, context.stores.images))


def choose_strategy(source: ClassifySource, labels_ld: Vectors, options: ClassifyOptions) -> str:
    """Return `images`, `labels` or `matmul`. Only matmul can apply a boost, and needs no label in the database."""
    if options.boost is not None:
        return MATMUL
    if options.strategy != AUTO:
        return options.strategy
    if not options.store_labels:
        return MATMUL
    return choose_fastest(source.count, len(labels_ld), labels_ld.shape[1], source.in_files)


def build_comparison(
    strategy: str,
    labels: Sequence[Label],
    labels_ld: Vectors,
    scorer: Scorer,
    context: ClassifyContext,
    pool: Executor,
) -> ComparisonStrategy:
    scale = context.info.logit_scale
    if strategy == IMAGES:
        return QueryPerImage(context.stores.labels, labels, scale, pool)
    if strategy == LABELS:
        return QueryPerLabel(require_collection(context.stores.images), labels_ld, scale, pool)
    return MatrixProduct(scorer)


def compute_logits(batch: ImageBatch, comparison: ComparisonStrategy, labels: int) -> tuple[ImageBatch, Vectors]:
    """Return the batch, with an error for each image that lacks a vector, and the logits (N, L)."""
    if len(batch.errors) == len(batch):  # without any vector the dimension is unknown
        return batch, np.zeros((len(batch), labels), dtype=np.float32)
    logits_nl = comparison.logits(batch)
    missing = np.flatnonzero(np.isnan(logits_nl).any(axis=1)).tolist()
    return replace(batch, errors={**dict.fromkeys(missing, NO_VECTOR), **batch.errors}), logits_nl


def build_vector_reader(batch: ImageBatch, collection: CollectionReader | None) -> Callable[[Sequence[int]], Vectors]:
    """Return a function from indices in the batch to vectors (n, D); an image removed in the meantime has zeros."""

    def read_vectors(indices: Sequence[int]) -> Vectors:
        if batch.vectors_nd.shape[1]:
            return batch.vectors_nd[list(indices)]
        read = require_collection(collection).fetch([batch.ids[index] for index in indices])
        row_by_id = {id: row for row, id in enumerate(read.ids)}
        zeros = np.zeros(read.vectors_nd.shape[1], dtype=np.float32)
        rows = [row_by_id.get(batch.ids[index]) for index in indices]
        return np.stack([zeros if row is None else read.vectors_nd[row] for row in rows])

    return read_vectors


def open_stores(
    client: WeaviateClient, url: str, info: ModelInfo, images: WeaviateImages | None
) -> ClassificationStores:
    """Build the stores; no I/O here. `images` gets the properties that predictions add to the collection."""
    labels, sets = WeaviateLabels(client, url, info), WeaviateLabelSets(client, url)
    if images is None:
        return ClassificationStores(labels, sets)
    reader = WeaviateCollectionReader(client, url, images.target)
    predictions = WeaviatePredictions(client, url, images.target, images.add_properties)
    return ClassificationStores(labels, sets, reader, predictions)
