"""Zero-shot classification from the names to the answers.

L labels · D dimensions

Which source the images are of that somebody wants to have classified.

What classification keeps in the database, and reads there.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import Protocol

import numpy as np
from PIL import Image
from weaviate import WeaviateClient

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.hits import Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageBatchEncoder, ImageInput
from clip_vectorizer.query.labels.label import Label, build_labels
from clip_vectorizer.query.labels.label_sets import (
    LabelSetStore,
    WeaviateLabelSets,
    compute_set_id,
    resolve_label_set,
    store_part,
)
from clip_vectorizer.query.labels.label_store import LabelStore, PromptEncoder, WeaviateLabels, store_labels
from clip_vectorizer.query.prompts import select_prompt_set
from clip_vectorizer.query.search.calls import SearchableCollection, SearchTarget
from clip_vectorizer.query.zeroshot.arguments import ClassifyInput, ClassifyOptions, check_label_list
from clip_vectorizer.query.zeroshot.comparison import (
    AUTO,
    IMAGES,
    LABELS,
    MATMUL,
    ComparisonStrategy,
    MatrixProduct,
    QueryPerImage,
    QueryPerLabel,
    choose_fastest,
)
from clip_vectorizer.query.zeroshot.predictions import PredictionStore, WeaviatePredictions, save_predictions
from clip_vectorizer.query.zeroshot.results import Classifications, ImageBatch
from clip_vectorizer.query.zeroshot.scores import OTHER, Boost, CosineScorer, DecisionRule, Scorer
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

PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine
SINGLE_IMAGE_TYPES = (str, bytes, os.PathLike, Image.Image, Hit, StoredImage)  # one image, not several
MIXED_INPUT = "the images are files and hits in one list; classify them one after the other"


class SidecarEncoder(PromptEncoder, ImageBatchEncoder, Protocol):
    """The sidecar."""


@dataclass(frozen=True, slots=True)
class ClassificationStores:
    labels: LabelStore
    sets: LabelSetStore
    images: CollectionReader | None = None  # None: connected without a collection
    predictions: PredictionStore | None = None


@dataclass(frozen=True, slots=True)
class ClassifyContext:
    """What a classification is made with."""

    info: ModelInfo
    encoder: SidecarEncoder
    shelf: ClassificationStores
    store: SearchableCollection | None = None  # the collection, where a boost finds its shots


def classify(
    images: ClassifyInput,
    labels: Sequence[str] | None,
    templates: Sequence[str] | None,
    limit: int | None,
    wanted: ClassifyOptions,
    parts: ClassifyContext,
) -> Classifications:
    """See ImageSearch.classify. Everything that is wrong with the question is raised before this returns."""
    source = choose_source(images, limit, wanted, parts.shelf.images, parts.encoder)
    competing, labels_ld = prepare_labels(check_label_list(labels), templates, wanted, parts)
    scorer = build_scorer(competing, labels_ld, wanted.boost, parts)
    results = limit_results(limit, classify_batches(source, competing, labels_ld, scorer, wanted, parts))
    if not wanted.write or parts.shelf.predictions is None:
        return results
    return save_predictions(results, parts.shelf.predictions, compute_set_id(competing, wanted.label_set or ""))


def prepare_labels(
    labels: Sequence[str], templates: Sequence[str] | None, wanted: ClassifyOptions, parts: ClassifyContext
) -> tuple[list[Label], Vectors]:
    """The labels with their vectors (L, D), stored. A named set is written last: what it lists is there."""
    prompts = select_prompt_set(wanted.prompts, templates)
    if wanted.label_set is None:
        competing, to_put = build_labels(labels, prompts, parts.info), None
    else:
        competing, to_put = resolve_label_set(wanted.label_set, labels, prompts, parts.info, parts.shelf.sets)
    if wanted.other is not None and any(label.text.casefold() == OTHER for label in competing):
        raise InputError(f"one label is called {OTHER!r}, as images are that show none of the labels; rename it")
    labels_ld = store_labels(competing, parts.info.dimension, parts.encoder, parts.shelf.labels)
    if to_put is not None:
        store_part(to_put, parts.shelf.sets)
    return competing, labels_ld


def build_scorer(labels: Sequence[Label], labels_ld: Vectors, boost: Boost | None, parts: ClassifyContext) -> Scorer:
    if boost is None:
        return CosineScorer(labels_ld, parts.info.logit_scale)
    return boost.scorer([label.text for label in labels], labels_ld, parts.info.logit_scale, parts.store)


def limit_results(limit: int | None, results: Classifications) -> Classifications:
    """Closing them, or having enough of them, ends their threads at once."""
    with closing(results):
        yield from islice(results, limit)


def classify_batches(
    source: ClassifySource,
    labels: Sequence[Label],
    labels_ld: Vectors,
    scorer: Scorer,
    wanted: ClassifyOptions,
    parts: ClassifyContext,
) -> Classifications:
    names = [label.text for label in labels]
    plain = wanted.boost is None
    decision = DecisionRule(names, labels_ld, parts.info.logit_scale, wanted.other, scorer.cosines, exact=plain)
    with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
        comparing = build_comparison(choose_strategy(source, labels_ld, wanted), labels, labels_ld, scorer, parts, pool)
        for block in source.blocks(comparing.reads_vectors):
            told, logits_nl = compute_logits(block, comparing, len(labels))
            yield from decision.classified(told, logits_nl, build_vector_reader(told, parts.shelf.images))


def choose_strategy(source: ClassifySource, labels_ld: Vectors, wanted: ClassifyOptions) -> str:
    if wanted.boost is not None:
        return MATMUL
    if wanted.strategy != AUTO:
        return wanted.strategy
    return choose_fastest(source.count, len(labels_ld), labels_ld.shape[1], source.in_files)


def build_comparison(
    strategy: str, labels: Sequence[Label], labels_ld: Vectors, scorer: Scorer, parts: ClassifyContext, pool: Executor
) -> ComparisonStrategy:
    scale = parts.info.logit_scale
    if strategy == IMAGES:
        return QueryPerImage(parts.shelf.labels, labels, scale, pool)
    if strategy == LABELS:
        return QueryPerLabel(require_collection(parts.shelf.images), labels_ld, scale, pool)
    return MatrixProduct(scorer)


def compute_logits(block: ImageBatch, comparing: ComparisonStrategy, labels: int) -> tuple[ImageBatch, Vectors]:
    """The logits (N, L), and the block with the errors that came to light."""
    if len(block.errors) == len(block):  # where no image has a vector nobody knows how long one is
        return block, np.zeros((len(block), labels), dtype=np.float32)
    logits_nl = comparing.logits(block)
    lost = np.flatnonzero(np.isnan(logits_nl).any(axis=1)).tolist()
    return replace(block, errors={**dict.fromkeys(lost, NO_VECTOR), **block.errors}), logits_nl


def build_vector_reader(block: ImageBatch, images: CollectionReader | None) -> Callable[[Sequence[int]], Vectors]:
    """Gives the vectors (n, D) of some of a block's images, by index; zeros where one was removed meanwhile."""

    def vectors_of(indices: Sequence[int]) -> Vectors:
        if block.vectors_nd.shape[1]:
            return block.vectors_nd[list(indices)]
        read = require_collection(images).fetch([block.ids[index] for index in indices])
        place = {id: row for row, id in enumerate(read.ids)}
        nothing = np.zeros(read.vectors_nd.shape[1], dtype=np.float32)
        rows = [place.get(block.ids[index]) for index in indices]
        return np.stack([nothing if row is None else read.vectors_nd[row] for row in rows])

    return vectors_of


def choose_source(
    images: ClassifyInput,
    limit: int | None,
    wanted: ClassifyOptions,
    collected: CollectionReader | None,
    encoder: ImageBatchEncoder,
) -> ClassifySource:
    """Raises InputError for what `wanted` cannot be asked of such images."""
    if limit is not None and limit < 0:
        raise InputError(f"limit {limit}: expected how many images are classified, 0 or more")
    if images is None:
        wanted.check_source(are_files=False, is_everything=True)
        there = require_collection(collected)
        there.check(wanted.where)
        return ClassifiedCollection(there, wanted.where, limit)
    given: Iterator[ImageInput | Hit | StoredImage] = iter(
        [images] if isinstance(images, SINGLE_IMAGE_TYPES) else images
    )
    head = list(islice(given, 1))
    if not head:
        return ClassifiedFiles((), encoder, 0)
    are_hits = isinstance(head[0], Hit | StoredImage)
    wanted.check_source(not are_hits, is_everything=False)
    some = islice(chain(head, given), limit)
    return (
        ClassifiedHits(list(map(require_hit, some)), require_collection(collected))
        if are_hits
        else ClassifiedFiles(map(require_file, some), encoder)
    )


def require_hit(image: ImageInput | Hit | StoredImage) -> Hit | StoredImage:
    if not isinstance(image, Hit | StoredImage):
        raise InputError(MIXED_INPUT)
    return image


def require_file(image: ImageInput | Hit | StoredImage) -> ImageInput:
    if isinstance(image, Hit | StoredImage):
        raise InputError(MIXED_INPUT)
    return image


def require_collection(collected: CollectionReader | None) -> CollectionReader:
    if collected is None:
        raise InputError("connected without a collection; name one: ImageSearch.connect(collection='Image')")
    return collected


def open_stores(
    client: WeaviateClient, url: str, info: ModelInfo, searched: SearchTarget | None
) -> ClassificationStores:
    """Asks nothing yet."""
    labels, sets = WeaviateLabels(client, url, info), WeaviateLabelSets(client, url)
    if searched is None:
        return ClassificationStores(labels, sets)
    collected = WeaviateCollectionReader(client, url, searched)
    return ClassificationStores(labels, sets, collected, WeaviatePredictions(client, url, searched))
