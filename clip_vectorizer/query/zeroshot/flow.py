"""Zero-shot classification from the names to the answers.

L labels · D dimensions
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Protocol

import numpy as np

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.labels.label import Label, label_set
from clip_vectorizer.query.labels.label_sets import named_labels, put_part, set_id
from clip_vectorizer.query.labels.label_store import TextEncoder, store_labels
from clip_vectorizer.query.pictures import ImageEncoder
from clip_vectorizer.query.prompt_sets import prompt_set
from clip_vectorizer.query.searching.answering import ImageStore
from clip_vectorizer.query.zeroshot.asking import Images, Wanted, labels_given
from clip_vectorizer.query.zeroshot.collection import NO_VECTOR, Collected
from clip_vectorizer.query.zeroshot.comparing import ByImages, ByLabels, ByMatrix, Comparing
from clip_vectorizer.query.zeroshot.deciding import OTHER, Decision
from clip_vectorizer.query.zeroshot.picking import collection_of, source_of
from clip_vectorizer.query.zeroshot.planning import AUTO, IMAGES, LABELS, MATMUL, fastest
from clip_vectorizer.query.zeroshot.results import Block, Results
from clip_vectorizer.query.zeroshot.scoring import Boost, Plain, Scorer
from clip_vectorizer.query.zeroshot.shelf import Shelf
from clip_vectorizer.query.zeroshot.sources import Source
from clip_vectorizer.query.zeroshot.writing import written
from clip_vectorizer.vectors import Vectors

PARALLEL_QUERIES = 4  # more only queue up in Weaviate on a small machine


class Encoder(TextEncoder, ImageEncoder, Protocol):
    """The sidecar."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a classification is made with."""

    info: ModelInfo
    encoder: Encoder
    shelf: Shelf
    store: ImageStore | None = None  # the collection, where a boost finds its shots


def classify(
    images: Images,
    labels: Sequence[str] | None,
    templates: Sequence[str] | None,
    limit: int | None,
    wanted: Wanted,
    parts: Parts,
) -> Results:
    """See ImageSearch.classify. Everything that is wrong with the question is raised before this returns."""
    source = source_of(images, limit, wanted, parts.shelf.images, parts.encoder)
    competing, labels_ld = competitors(labels_given(labels), templates, wanted, parts)
    scorer = scorer_of(competing, labels_ld, wanted.boost, parts)
    results = first(limit, decided(source, competing, labels_ld, scorer, wanted, parts))
    if not wanted.write or parts.shelf.predictions is None:
        return results
    return written(results, parts.shelf.predictions, set_id(competing, wanted.label_set or ""))


def competitors(
    labels: Sequence[str], templates: Sequence[str] | None, wanted: Wanted, parts: Parts
) -> tuple[list[Label], Vectors]:
    """The labels with their vectors (L, D), stored. A named set is written last: what it lists is there."""
    prompts = prompt_set(wanted.prompts, templates)
    if wanted.label_set is None:
        competing, to_put = label_set(labels, prompts, parts.info), None
    else:
        competing, to_put = named_labels(wanted.label_set, labels, prompts, parts.info, parts.shelf.sets)
    if wanted.other is not None and any(label.text.casefold() == OTHER for label in competing):
        raise InputError(f"one label is called {OTHER!r}, as images are that show none of the labels; rename it")
    labels_ld = store_labels(competing, parts.info.dimension, parts.encoder, parts.shelf.labels)
    if to_put is not None:
        put_part(to_put, parts.shelf.sets)
    return competing, labels_ld


def scorer_of(labels: Sequence[Label], labels_ld: Vectors, boost: Boost | None, parts: Parts) -> Scorer:
    if boost is None:
        return Plain(labels_ld, parts.info.logit_scale)
    return boost.scorer([label.text for label in labels], labels_ld, parts.info.logit_scale, parts.store)


def first(limit: int | None, results: Results) -> Results:
    """Closing them, or having enough of them, ends their threads at once."""
    with closing(results):
        yield from islice(results, limit)


def decided(
    source: Source, labels: Sequence[Label], labels_ld: Vectors, scorer: Scorer, wanted: Wanted, parts: Parts
) -> Results:
    names = [label.text for label in labels]
    plain = wanted.boost is None
    decision = Decision(names, labels_ld, parts.info.logit_scale, wanted.other, scorer.cosines, exact=plain)
    with ThreadPoolExecutor(PARALLEL_QUERIES) as pool:
        comparing = comparing_by(strategy_of(source, labels_ld, wanted), labels, labels_ld, scorer, parts, pool)
        for block in source.blocks(comparing.reads_vectors):
            told, logits_nl = compared(block, comparing, len(labels))
            yield from decision.classified(told, logits_nl, reader(told, parts.shelf.images))


def strategy_of(source: Source, labels_ld: Vectors, wanted: Wanted) -> str:
    if wanted.boost is not None:
        return MATMUL
    if wanted.strategy != AUTO:
        return wanted.strategy
    return fastest(source.count, len(labels_ld), labels_ld.shape[1], source.in_files)


def comparing_by(
    strategy: str, labels: Sequence[Label], labels_ld: Vectors, scorer: Scorer, parts: Parts, pool: Executor
) -> Comparing:
    scale = parts.info.logit_scale
    if strategy == IMAGES:
        return ByImages(parts.shelf.labels, labels, scale, pool)
    if strategy == LABELS:
        return ByLabels(collection_of(parts.shelf.images), labels_ld, scale, pool)
    return ByMatrix(scorer)


def compared(block: Block, comparing: Comparing, labels: int) -> tuple[Block, Vectors]:
    """The logits (N, L), and the block with the errors that came to light."""
    if len(block.errors) == len(block):  # where no image has a vector nobody knows how long one is
        return block, np.zeros((len(block), labels), dtype=np.float32)
    logits_nl = comparing.logits(block)
    lost = np.flatnonzero(np.isnan(logits_nl).any(axis=1)).tolist()
    return replace(block, errors={**dict.fromkeys(lost, NO_VECTOR), **block.errors}), logits_nl


def reader(block: Block, images: Collected | None) -> Callable[[Sequence[int]], Vectors]:
    """Gives the vectors (n, D) of some of a block's images, by index; zeros where one was removed meanwhile."""

    def vectors_of(indices: Sequence[int]) -> Vectors:
        if block.vectors_nd.shape[1]:
            return block.vectors_nd[list(indices)]
        read = collection_of(images).fetch([block.ids[index] for index in indices])
        place = {id: row for row, id in enumerate(read.ids)}
        nothing = np.zeros(read.vectors_nd.shape[1], dtype=np.float32)
        rows = [place.get(block.ids[index]) for index in indices]
        return np.stack([nothing if row is None else read.vectors_nd[row] for row in rows])

    return vectors_of
