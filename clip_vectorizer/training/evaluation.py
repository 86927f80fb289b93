"""Figures over one art set: drawings found by name, names by drawing, and drawings by phrases that name none.

N concepts · D dimensions · Q phrase queries
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.phrases import PhraseQuery, load_phrase_queries
from clip_vectorizer.training.templates import TEMPLATES
from clip_vectorizer.vectors import Pixels, Vectors, ensemble

DEPTHS = (1, 5, 10)
PHRASE_PRECISION_DEPTH, PHRASE_RECALL_DEPTH = 5, 10
BATCH = 256
ItemT = TypeVar("ItemT")
AnswerMask = npt.NDArray[np.bool_]  # (Q, N): concept n is a right answer to query q


@dataclass(frozen=True, slots=True)
class RecallRow:
    """One row of the table: the share of queries whose own answer is among the first k, for each k of DEPTHS."""

    direction: str  # `text->image` or `image->text`
    language: str
    prompts: str  # `name` or `ensemble`
    at: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PhraseRow:
    """One row of the table: means over the queries of one language, or of `all`."""

    language: str
    queries: int
    precision: float  # share of right answers among the first PHRASE_PRECISION_DEPTH drawings
    precision_error: float  # standard error of that mean; NaN of a single query
    recall: float  # right answers among the first PHRASE_RECALL_DEPTH, of as many as could be there
    chance_precision: float  # what drawings in random order would reach
    chance_recall: float


@dataclass(frozen=True, slots=True)
class HeldOutFigures:
    """All that is measured on one art set; no phrases where none has an answer among the concepts."""

    recall: list[RecallRow]
    phrases: list[PhraseRow]


def measure_held_out(encoder: Encoder, concepts: Sequence[Concept], drawings_nhh4: Pixels) -> HeldOutFigures:
    """Measure names and phrases. Drawings: (N, H, H, 4) uint8 RGBA, one a concept."""
    images_nd = encode_drawings(encoder, drawings_nhh4)
    return HeldOutFigures(
        measure_recall(encoder, concepts, images_nd),
        measure_phrases(encoder, concepts, images_nd, load_phrase_queries()),
    )


def measure_recall(encoder: Encoder, concepts: Sequence[Concept], images_nd: Vectors) -> list[RecallRow]:
    """Measure both directions, both languages, plain name and prompt ensemble."""
    return [
        RecallRow(direction, language, prompts, compute_recall(similarity))
        for language in TEMPLATES
        for prompts, texts_nd in encode_prompts(encoder, concepts, language).items()
        for direction, similarity in {
            "text->image": texts_nd @ images_nd.T,
            "image->text": images_nd @ texts_nd.T,
        }.items()
    ]


def compute_recall(similarity_nn: Vectors) -> tuple[float, ...]:
    """Return the share of rows whose own column (i of row i) is among the first k. Ties count as errors."""
    own = np.diagonal(similarity_nn)[:, None]
    rank = (similarity_nn >= own).sum(axis=1)
    return tuple(float((rank <= depth).mean()) for depth in DEPTHS)


def measure_phrases(
    encoder: Encoder, concepts: Sequence[Concept], images_nd: Vectors, queries: Sequence[PhraseQuery]
) -> list[PhraseRow]:
    """Measure phrase to image retrieval for each language and for all queries.

    An answer that is no concept of this set is left out, and so is a query without any other.
    """
    mask_qn = mark_answers(queries, concepts)
    asked: list[int] = np.flatnonzero(mask_qn.any(axis=1)).tolist()
    if not asked:
        return []
    texts = [queries[index].text for index in asked]
    languages = np.array([query.language for query in queries])[asked]
    similarity_qn, mask_qn = encode_texts(encoder, texts) @ images_nd.T, mask_qn[asked]
    groups = {name: languages == name for name in dict.fromkeys(languages.tolist())}
    return [
        compute_phrase_row(name, similarity_qn[group], mask_qn[group])
        for name, group in {**groups, "all": np.ones(len(texts), dtype=bool)}.items()
    ]


def mark_answers(queries: Sequence[PhraseQuery], concepts: Sequence[Concept]) -> AnswerMask:
    names = np.array([item.name_en for item in concepts])
    return np.stack([np.isin(names, query.answers) for query in queries])


def compute_phrase_row(language: str, similarity_qn: Vectors, mask_qn: AnswerMask) -> PhraseRow:
    """Return precision and recall as means over the queries, each of which has an answer.

    Recall is capped, as R_cap@k of Thakur et al. 2021 (BEIR): where 40 answers are right, 10 in 10 places are 1.
    """
    queries, count = mask_qn.shape
    found_qn = np.take_along_axis(mask_qn, rank_drawings(similarity_qn, mask_qn), axis=1)
    answers_q = mask_qn.sum(axis=1)
    attainable_q = np.minimum(answers_q, PHRASE_RECALL_DEPTH)
    precision_q = found_qn[:, :PHRASE_PRECISION_DEPTH].sum(axis=1) / PHRASE_PRECISION_DEPTH
    recall_q = found_qn[:, :PHRASE_RECALL_DEPTH].sum(axis=1) / attainable_q
    chance_q = answers_q / count  # of each place to hold a right answer
    return PhraseRow(
        language=language,
        queries=queries,
        precision=float(precision_q.mean()),
        precision_error=float(precision_q.std(ddof=1) / np.sqrt(queries)) if queries > 1 else float("nan"),
        recall=float(recall_q.mean()),
        chance_precision=float(chance_q.mean() * min(1, count / PHRASE_PRECISION_DEPTH)),
        chance_recall=float((chance_q * min(PHRASE_RECALL_DEPTH, count) / attainable_q).mean()),
    )


def rank_drawings(similarity_qn: Vectors, mask_qn: AnswerMask) -> npt.NDArray[np.intp]:
    """Return each query's columns, nearest first. Among equals the right answers come last: ties count as errors."""
    return np.lexsort((mask_qn, -similarity_qn), axis=-1)


def encode_prompts(encoder: Encoder, concepts: Sequence[Concept], language: str) -> dict[str, Vectors]:
    """Return `name` and `ensemble` -> (N, D) unit rows."""
    names = [getattr(item, f"name_{language}") for item in concepts]
    plain = encode_texts(encoder, names)
    prompted = [encode_texts(encoder, [template.format(name) for name in names]) for template in TEMPLATES[language]]
    return {"name": plain, "ensemble": ensemble(np.stack([plain, *prompted], axis=1))}


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    return np.concatenate(
        [encoder.encode_texts([encoder.prepare_text(text) for text in part]) for part in split_batches(texts)]
    )


def encode_drawings(encoder: Encoder, drawings_nhh4: Pixels) -> Vectors:
    pictures = [encoder.prepare_image(place_on_white(drawing)) for drawing in drawings_nhh4]
    return np.concatenate([encoder.encode_images(part) for part in split_batches(pictures)])


def place_on_white(drawing_hh4: npt.NDArray[np.uint8]) -> Image.Image:
    drawing = Image.fromarray(drawing_hh4)
    ground = Image.new("RGBA", drawing.size, "white")
    return Image.alpha_composite(ground, drawing).convert("RGB")


def split_batches(items: Sequence[ItemT]) -> Iterator[Sequence[ItemT]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def format_markdown(rows: Sequence[RecallRow]) -> str:
    heading = "| query | language | prompts | " + " | ".join(f"recall@{depth}" for depth in DEPTHS) + " |"
    lines = [
        f"| {row.direction} | {row.language} | {row.prompts} | {' | '.join(f'{value:.3f}' for value in row.at)} |"
        for row in rows
    ]
    return "\n".join([heading, "| --- | --- | --- |" + " --- |" * len(DEPTHS), *lines])


def format_phrases(rows: Sequence[PhraseRow]) -> str:
    heading = (
        f"| phrases | queries | precision@{PHRASE_PRECISION_DEPTH} | by chance"
        f" | recall@{PHRASE_RECALL_DEPTH}, capped | by chance |"
    )
    lines = [
        f"| {row.language} | {row.queries} | {row.precision:.3f} ± {row.precision_error:.3f}"
        f" | {row.chance_precision:.3f} | {row.recall:.3f} | {row.chance_recall:.3f} |"
        for row in rows
    ]
    return "\n".join([heading, "| --- |" + " --- |" * 5, *lines])


def format_figures(figures: HeldOutFigures) -> str:
    """Return all tables as Markdown; ± is one standard error."""
    tables = [format_markdown(figures.recall)]
    if figures.phrases:
        tables.append(format_phrases(figures.phrases))
    return "\n\n".join(tables)
