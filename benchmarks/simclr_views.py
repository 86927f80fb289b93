"""What the views of SimCLR are worth for pages: those of `train simclr`, with flips, and with crops as of photographs.

The same pages, batches, steps and first weights; only the views differ. The figures are those of `clip-eval --pages`
for the whole page on a white square, a table for each seed and column of the corpus.

    python -m benchmarks.simclr_views /tmp/corpus --work /tmp/views --steps 150 --batch 64
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import torch
from torch import Tensor

from benchmarks.common import Report, add_json_option
from clip_vectorizer.progress import StepDisplay, StepProgress
from clip_vectorizer.query.evaluation.pages import FAMILY, KIND, ORGANISATION, PagesRow, measure_pages
from clip_vectorizer.query.evaluation.pages_corpus import read_corpus
from clip_vectorizer.query.evaluation.pages_report import format_estimate, format_line
from clip_vectorizer.query.evaluation.pages_vectors import EncodedPages, encode_pages
from clip_vectorizer.query.evaluation.pages_views import PADDED, PageView, draw_corpus
from clip_vectorizer.query.evaluation.sidecars import connect_sidecar
from clip_vectorizer.training.simclr.plan import SIDES, SimclrPlan
from clip_vectorizer.training.simclr.run import DrawViews, train_simclr
from clip_vectorizer.training.simclr.views import Dice, ViewOptions, draw_views

CLAIM = "Views of SimCLR on pages: as they are, with flips, with crops from .08 of the area"
PHOTOGRAPH_AREA = (0.08, 1.0)  # of random resized crops for photographs (Szegedy et al. 2015, Chen et al. 2020)
FLIPPED_SHARE = 0.5
MEASURES = ((KIND, "AP, probe"), (FAMILY, "mAP"), (ORGANISATION, "mAP"))


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--work", required=True, type=click.Path(file_okay=False, path_type=Path), help="Pages and models.")
@click.option("--steps", default=150, show_default=True, type=click.IntRange(1))
@click.option("--batch", default=64, show_default=True, type=click.IntRange(2), help="Pages of a step.")
@click.option("--seed", "seeds", default=(0, 1), show_default=True, type=int, multiple=True, help="May be repeated.")
@click.option("--limit", default=400, show_default=True, type=click.IntRange(20), help="Of pages by split and column.")
@add_json_option
def main(
    corpus: Path, work: Path, steps: int, batch: int, seeds: tuple[int, ...], limit: int, json_file: Path | None
) -> None:
    """Train on the training pages of CORPUS with each kind of views, and compare the models on its test pages."""
    report = Report(CLAIM)
    report.begin()
    with StepDisplay() as progress:
        records = read_corpus(corpus, limit)
        (squares := work / "squares").mkdir(parents=True, exist_ok=True)
        pages, _ = draw_corpus(corpus, records, squares, progress.detail)
        for seed in seeds:
            models = {name: work / f"{name.replace(' ', '-')}-{steps}x{batch}-{seed}" for name in VIEWS}
            for name, folder in models.items():
                plan = SimclrPlan(
                    corpus / "train", folder, work / "pages", steps=steps, side=SIDES[0], batch=batch, seed=seed
                )
                if not folder.exists():
                    train_simclr(plan, progress, VIEWS[name])
            encoders = encode_models({"random weights": write_random(work, seed), **models}, pages, squares, progress)
            report.note(f"seed {seed}, {steps} steps of {batch} pages:")
            for line in format_rows(measure_pages(pages, encoders, progress.detail)):
                report.note(line)
    report.write(json_file)


def draw_flipped(pages_bcc: Tensor, size: int, dice: Dice) -> Tensor:
    """The usual views, half of them mirrored left to right."""
    views_b1ss = draw_views(pages_bcc, size, dice)
    return torch.where(dice.chance(FLIPPED_SHARE, len(views_b1ss)) > 0, views_b1ss.flip(-1), views_b1ss)


def draw_small_crops(pages_bcc: Tensor, size: int, dice: Dice) -> Tensor:
    return draw_views(pages_bcc, size, dice, ViewOptions(area=PHOTOGRAPH_AREA))


VIEWS: Mapping[str, DrawViews] = {"usual views": draw_views, "flips": draw_flipped, "small crops": draw_small_crops}


def write_random(work: Path, seed: int) -> Path:
    """The folder of the network that the trainings of `seed` begin with."""
    folder = work / f"random-{seed}"
    return folder if folder.exists() else train_simclr(SimclrPlan(Path(), folder, steps=0, seed=seed))


def encode_models(
    models: Mapping[str, Path], pages: Sequence[PageView], squares: Path, progress: StepProgress
) -> list[EncodedPages]:
    """Vectors of the pages by each model; the usual views first, which the others are compared with."""
    encoders = []
    for name, folder in sorted(models.items(), key=lambda item: item[0] != next(iter(VIEWS))):
        with connect_sidecar(f"local-dir:{folder}", None, progress.detail) as sidecar:
            encoders.append(encode_pages(name, pages, squares, sidecar, progress.detail)[0])
    return encoders


def format_rows(rows: Sequence[PagesRow]) -> list[str]:
    """Lines of a Markdown table: figures with intervals, and the paired differences to the usual views."""
    found = {(row.encoder, row.column, row.task): row.figures for row in rows if row.looking == PADDED}
    names = [f"{task}: {measure}" for task, measure in MEASURES]
    lines = ["", format_line(["views", "column", *names]), format_line(["---"] * (2 + len(names)))]
    for name in ("random weights", *VIEWS):
        for column in dict.fromkeys(row.column for row in rows):
            figures = [(found[name, column, task], measure) for task, measure in MEASURES]
            for suffix in ("", *([", less first"] if name in list(VIEWS)[1:] else [])):
                cells = [format_estimate(figure[measure + suffix]) for figure, measure in figures]
                lines.append(format_line([name + (", less usual" if suffix else ""), column, *cells]))
    return lines


if __name__ == "__main__":
    main()
