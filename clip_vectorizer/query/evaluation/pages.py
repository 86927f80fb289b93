"""Encoders and ways of looking compared: drawings among pages, pages with the same title block, the same part.

N pages · Q queries · D dimensions · R resamples
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from clip_vectorizer.database.schema import BLOCK_TEXT, PAGE_FACT_PROPERTIES, PATH_SEGMENTS
from clip_vectorizer.images.line_grid import compare_line_grids
from clip_vectorizer.query.evaluation.dataset import Progress
from clip_vectorizer.query.evaluation.pages_corpus import DRAWING, TEST, TRAIN
from clip_vectorizer.query.evaluation.pages_measures import (
    Estimate,
    FigureArray,
    Ranking,
    average_precision,
    balanced_accuracy,
    estimate,
    fit_left_out,
    fit_probe,
    rank_pages,
    share_of_neighbours,
    weigh_files,
    weighted_mean,
)
from clip_vectorizer.query.evaluation.pages_vectors import EncodedPages
from clip_vectorizer.query.evaluation.pages_views import (
    CENTRE,
    CORNER,
    PADDED,
    PageView,
    measure_pixels,
    stack_facts,
)
from clip_vectorizer.query.evaluation.statistics import SEED, BooleanArray
from clip_vectorizer.query.search.corners import LINES_SHARE, RERANKED
from clip_vectorizer.vectors import Vectors, unit

KIND, ORGANISATION, FAMILY = "drawing against the rest", "same organisation", "same part family"
NEIGHBOURS = (20, 200)
PAGE_AND_CORNER, RERANK = "page + corner", "corner, re-ranked"
NONE = "-"  # way of looking of what does not look
FACTS = tuple(name for name in PAGE_FACT_PROPERTIES if name != BLOCK_TEXT)

ViewOf = Callable[[Sequence[PageView]], Vectors]  # (N, D) of pages


@dataclass(frozen=True, slots=True)
class PagesRow:
    """Figures of one encoder and way of looking at the test pages of one column; None where there is no such figure."""

    task: str
    encoder: str
    looking: str
    column: str
    count: int  # pages of task A, queries of the others
    files: int
    figures: Mapping[str, Estimate | None]


@dataclass(frozen=True, slots=True)
class FirstEncoder:
    """Resampled figures of the first encoder, by (task, looking, column), from which others are subtracted."""

    name: str
    figures: dict[tuple[str, str, str], FigureArray] = field(default_factory=dict)

    def compare(self, encoder: str, place: tuple[str, str, str], values_r: FigureArray) -> Estimate | None:
        """Return the difference to the first encoder, over the same resamples of files: it is paired."""
        if encoder == self.name:
            self.figures[place] = values_r
        return None if encoder == self.name or place not in self.figures else estimate(values_r - self.figures[place])


def measure_pages(pages: Sequence[PageView], encoders: Sequence[EncodedPages], progress: Progress) -> list[PagesRow]:
    """Return the rows of all tasks, columns, encoders and ways of looking. Raises InputError without scikit-learn."""
    first = FirstEncoder(encoders[0].name if encoders else "")
    train = [page for page in pages if page.record.split == TRAIN]
    rows: list[PagesRow] = []
    for column in dict.fromkeys(page.record.column for page in pages if page.record.split == TEST):
        test = [page for page in pages if page.record.split == TEST and page.record.column == column]
        for encoder, looking, view in list_looks(encoders):
            progress(f"{KIND}: {encoder}, {looking}, {column}")
            rows.append(measure_kind((encoder, looking, column), view, train, test, first))
        progress(f"{ORGANISATION}, {FAMILY}: {column}")
        rows += measure_retrieval(test, column, encoders, first)
    return rows


def list_looks(encoders: Sequence[EncodedPages]) -> Iterator[tuple[str, str, ViewOf]]:
    """Yield encoder, way of looking and what makes vectors of pages, for task A."""
    for encoder in encoders:
        for looking in (PADDED, CENTRE):
            yield encoder.name, looking, lambda pages, e=encoder, v=looking: e.stack(v, pages)  # type: ignore[misc]
        yield encoder.name, PAGE_AND_CORNER, lambda pages, e=encoder: join_views(e, pages)  # type: ignore[misc]
    yield "page facts", NONE, lambda pages: stack_facts(pages, FACTS)
    yield "path segments", NONE, lambda pages: stack_facts(pages, (PATH_SEGMENTS,))
    yield "pixels", PADDED, lambda pages: np.stack([measure_pixels(page.read(PADDED)) for page in pages])


def join_views(encoder: EncodedPages, pages: Sequence[PageView]) -> Vectors:
    """(N, 2 D): the inner product of two of them is the mean of the cosines of page and corner."""
    return unit(np.concatenate([encoder.stack(PADDED, pages), encoder.stack(CORNER, pages)], axis=1))


def measure_kind(
    place: tuple[str, str, str],
    view: ViewOf,
    train: Sequence[PageView],
    test: Sequence[PageView],
    first: FirstEncoder,
) -> PagesRow:
    encoder, looking, column = place
    train_md, test_nd = view(train), view(test)
    truth_m, truth_n = are_drawings(train), are_drawings(test)
    files_n = [page.record.path for page in test]
    probe = fit_probe(train_md, truth_m, [page.record.path for page in train], test_nd)
    weights_rn = weigh_files(files_n)
    ap_r = average_precision(weights_rn, truth_n, probe.logits_n)
    own_n = fit_left_out(test_nd, truth_n, files_n, probe.strength)
    figures = {
        "AP, probe": estimate(ap_r),
        "balanced accuracy": estimate(balanced_accuracy(weights_rn, truth_n, probe.logits_n > 0)),
        "AP, own pages": None if own_n is None else estimate(average_precision(weights_rn, truth_n, own_n)),
    }
    for k in NEIGHBOURS:
        shares_n = share_of_neighbours(
            scale_for_neighbours(encoder, train_md, train_md),
            truth_m,
            scale_for_neighbours(encoder, train_md, test_nd),
            k,
        )
        ap = None if shares_n is None else estimate(average_precision(weights_rn, truth_n, shares_n))
        figures[f"AP, kNN {k}"] = ap
    figures["AP, probe, less first"] = first.compare(encoder, (KIND, looking, column), ap_r)
    return PagesRow(KIND, encoder, looking, column, len(test), count_files(test), figures)


def scale_for_neighbours(encoder: str, train_md: Vectors, rows_nd: Vectors) -> Vectors:
    """Return facts standardised, as their units differ; vectors of an encoder as they are."""
    if encoder not in ("page facts", "path segments", "pixels"):
        return rows_nd
    return np.asarray((rows_nd - train_md.mean(axis=0)) / np.maximum(train_md.std(axis=0), 1e-6), dtype=np.float32)


def are_drawings(pages: Sequence[PageView]) -> BooleanArray:
    return np.array([page.record.kind == DRAWING for page in pages], dtype=np.bool_)


def count_files(pages: Sequence[PageView]) -> int:
    return len({page.record.path for page in pages})


def measure_retrieval(
    test: Sequence[PageView], column: str, encoders: Sequence[EncodedPages], first: FirstEncoder
) -> Iterator[PagesRow]:
    """Yield the rows of same organisation, then those of same part family. Queries are drawings.

    Pages of the query's own file are no candidates: they went through the same scanner.
    """
    drawings = [page for page in test if page.record.kind == DRAWING]
    with_block = [page for page in drawings if page.record.organisation is not None]
    for task, queries, pool, label in (
        (ORGANISATION, with_block, test, "organisation"),
        (FAMILY, [page for page in drawings if page.record.family is not None], drawings, "family"),
    ):
        relevant_qm, candidate_qm = compare_labels(queries, pool, label)
        for encoder, looking, scores_qm in list_scores(task, queries, pool, encoders):
            ranking = rank_pages(scores_qm, relevant_qm, candidate_qm)
            if np.isfinite(ranking.ap_q).any():
                yield build_retrieval_row((task, encoder, looking, column), ranking, queries, first)


def compare_labels(
    queries: Sequence[PageView], pool: Sequence[PageView], label: str
) -> tuple[BooleanArray, BooleanArray]:
    """(Q, M): which pages have the query's label, and which are of another file."""
    labels, others = ([getattr(page.record, label) or "" for page in side] for side in (queries, pool))
    files, other_files = ([page.record.path for page in side] for side in (queries, pool))
    return (
        np.equal.outer(np.array(labels), np.array(others)) if labels else np.zeros((0, len(pool)), dtype=np.bool_),
        ~np.equal.outer(np.array(files), np.array(other_files)) if files else np.zeros((0, len(pool)), dtype=np.bool_),
    )


def list_scores(
    task: str, queries: Sequence[PageView], pool: Sequence[PageView], encoders: Sequence[EncodedPages]
) -> Iterator[tuple[str, str, FigureArray]]:
    """Yield encoder, way of looking and (Q, M) scores."""
    if not queries:
        return
    lines_qm = compare_lines(queries, pool) if task == ORGANISATION else None
    for encoder in encoders:
        padded, centre, corner = (compare_views(encoder, view, queries, pool) for view in (PADDED, CENTRE, CORNER))
        yield encoder.name, PADDED, padded
        yield encoder.name, CENTRE, centre
        yield encoder.name, PAGE_AND_CORNER, padded + corner
        if lines_qm is not None:
            yield encoder.name, CORNER, corner
            yield encoder.name, RERANK, rerank(corner, lines_qm, compare_labels(queries, pool, "organisation")[1])
    if lines_qm is not None:
        yield "line grid alone", CORNER, lines_qm
    yield "random order", NONE, np.random.default_rng(SEED).random((len(queries), len(pool)))


def compare_views(
    encoder: EncodedPages, view: str, queries: Sequence[PageView], pool: Sequence[PageView]
) -> FigureArray:
    return (encoder.stack(view, queries) @ encoder.stack(view, pool).T).astype(np.float64)


def compare_lines(queries: Sequence[PageView], pool: Sequence[PageView]) -> FigureArray:
    grids = [page.line_grid for page in pool]
    return np.stack([compare_line_grids(page.line_grid, grids) for page in queries]).astype(np.float64)


def rerank(cosines_qm: FigureArray, lines_qm: FigureArray, candidate_qm: BooleanArray) -> FigureArray:
    """(Q, M): scores that put the RERANKED nearest candidates first, as clip-search does; then the others."""
    scores_qm = cosines_qm - 4.0  # below every score of the first
    for row, cosines_m in enumerate(cosines_qm):
        nearest = np.argsort(-np.where(candidate_qm[row], cosines_m, -np.inf), kind="stable")[:RERANKED]
        scores_qm[row, nearest] = LINES_SHARE * lines_qm[row, nearest] + (1 - LINES_SHARE) * cosines_m[nearest]
    return np.asarray(scores_qm)


def build_retrieval_row(
    place: tuple[str, str, str, str], ranking: Ranking, queries: Sequence[PageView], first: FirstEncoder
) -> PagesRow:
    task, encoder, looking, column = place
    used = np.isfinite(ranking.ap_q)
    asked = [page for page, kept in zip(queries, used, strict=True) if kept]
    weights_rq = weigh_files([page.record.path for page in asked])
    map_r = weighted_mean(weights_rq, ranking.ap_q[used])
    figures = {
        "mAP": estimate(map_r),
        "P@10": estimate(weighted_mean(weights_rq, ranking.precision_q[used])),
        "R@1": estimate(weighted_mean(weights_rq, ranking.first_q[used])),
        "mAP, less first": first.compare(encoder, (task, looking, column), map_r),
    }
    return PagesRow(task, encoder, looking, column, len(asked), count_files(asked), figures)
