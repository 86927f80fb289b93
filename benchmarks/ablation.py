"""What each part of the bundled model's training brings: the same steps without it.

    python benchmarks/ablation.py --work WORK_FOLDER --steps 800

Each part is left out of a training of its own, in WORK_FOLDER/ablation; stages that a part does not change are shared.
Every training has the same steps: without restyled drawings the image tower's second part has the styles of the first.
The figures are those of the held-out set: names of drawings, means over both languages, and phrases that name nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np

from benchmarks.common import Report, add_json_option
from clip_vectorizer.training.art_sets import COMPLETE_SETS, HELD_OUT_SET, TRAINING_SETS
from clip_vectorizer.training.augment import Augmentation
from clip_vectorizer.training.drawing_store import load_art_set
from clip_vectorizer.training.drawings import fetch_packages, load_concepts
from clip_vectorizer.training.emoji import TrainingPlan, build_language, flush_denormals, train_model
from clip_vectorizer.training.evaluation import DEPTHS, HeldOutFigures
from clip_vectorizer.training.image_tower import STYLES_AT_FIRST, STYLES_THEN, ImageStage, plan_second_part
from clip_vectorizer.training.knowledge import GLOSS, KIND, ConceptText, load_knowledge
from clip_vectorizer.training.sentence_vectors import SentenceVectors
from clip_vectorizer.training.shipping import measure_exported_model
from clip_vectorizer.training.text_tower import TextStage, plan_naming_part

Change = Callable[[TrainingPlan], TrainingPlan]
PLAIN = Augmentation(warp=0, neighbour_share=0, texture_share=0)
IMAGE = ("image", "image-restyled")
TEXT = ("text", "text-naming")
STAGES = (*IMAGE, *TEXT)  # names of the files of weights


def leave_plan(plan: TrainingPlan) -> TrainingPlan:
    return plan


def change_image_stages(plan: TrainingPlan, augmentation: Augmentation) -> TrainingPlan:
    image, restyled = (replace(stage, augmentation=augmentation) for stage in (plan.image, plan.restyled))
    return replace(plan, image=image, restyled=restyled)


def change_text_stages(plan: TrainingPlan, general: int) -> TrainingPlan:
    text, naming = (replace(stage, general=general) for stage in (plan.text, plan.naming))
    return replace(plan, text=text, naming=naming)


@dataclass(frozen=True, slots=True)
class AblatedPart:
    """A part that is left out: what changes of the plan, and which stages learn without it."""

    name: str
    change: Change = leave_plan
    without_kinds: tuple[str, ...] = ()  # of texts about concepts
    retrained: tuple[str, ...] = STAGES


PARTS = (
    AblatedPart("nothing"),
    AblatedPart(
        "five art sets",
        lambda plan: replace(plan, without=tuple(name for name in TRAINING_SETS if name not in COMPLETE_SETS)),
        retrained=IMAGE,
    ),
    AblatedPart("warps, neighbours, textures", lambda plan: change_image_stages(plan, PLAIN), retrained=IMAGE),
    AblatedPart(
        "restyled drawings",
        lambda plan: replace(plan, restyled=replace(plan.restyled, styles=STYLES_AT_FIRST)),
        retrained=("image-restyled",),
    ),
    AblatedPart("texts in general", lambda plan: change_text_stages(plan, general=0), retrained=TEXT),
    AblatedPart(
        "names at prototypes", lambda plan: replace(plan, naming=replace(plan.naming, naming=0)), retrained=TEXT[1:]
    ),
    AblatedPart("kinds and definitions", without_kinds=(KIND, GLOSS)),
)


@click.command()
@click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="As `train emoji --work`."
)
@click.option("--steps", default=800, show_default=True, type=click.IntRange(1), help="Of each of the four stages.")
@add_json_option
def main(work: Path, steps: int, json_file: Path | None) -> None:
    """Train without each part in turn, and print what the held-out set shows. Finished stages are not repeated.

    \b
    Example:
      python benchmarks/ablation.py --work ~/emoji --steps 800
    """
    report = Report("What each part of the training brings")
    report.begin()
    report.note(f"{steps} steps a stage; image -> text: mean of both languages, plain names; ± is one standard error")
    report.note(format_row("without", *(f"recall@{depth}" for depth in (1, 10)), "phrases precision@5"))
    report.note(format_row(*["---"] * 4))
    image, text = (ImageStage(steps), plan_second_part(steps)), (TextStage(steps), plan_naming_part(steps))
    plan = TrainingPlan(work, work / "ablation" / str(steps), *image, *text)
    for row in measure_parts(plan, SentenceVectors(work / "e5.npz")):
        report.note(row)
    report.write(json_file)


def measure_parts(whole: TrainingPlan, sentences: SentenceVectors) -> Iterator[str]:
    """Yield a row of the table for each part; `whole.output` gets a folder for each."""
    packages = fetch_packages(whole.work / "packages")
    concepts = load_concepts(packages)
    knowledge = load_knowledge(packages, concepts, sentences.embed)
    for name in TRAINING_SETS:  # rendered here once, for the folders of all parts
        load_art_set(whole.work, packages, concepts, name, tuple(STYLES_THEN))
    held_out = load_art_set(whole.work, packages, concepts, HELD_OUT_SET, ("drawn",)).styles["drawn"]
    for part in PARTS:
        folder = prepare_folder(whole, part)
        plan = part.change(replace(whole, work=folder, output=folder / "model"))
        known = [drop_kinds(texts, part.without_kinds) for texts in knowledge]
        with flush_denormals():
            train_model(plan, packages, build_language(folder, concepts, known, sentences), sentences)
        yield format_figures_row(part.name, measure_exported_model(plan.output, concepts, held_out))


def drop_kinds(texts: Sequence[ConceptText], kinds: Sequence[str]) -> list[ConceptText]:
    return [item for item in texts if item.kind not in kinds]


def prepare_folder(plan: TrainingPlan, part: AblatedPart) -> Path:
    """Return the part's work folder, with links to drawings and to what the part does not change."""
    folder, first = (plan.output / name.replace(",", "").replace(" ", "-") for name in (part.name, PARTS[0].name))
    folder.mkdir(parents=True, exist_ok=True)
    shared = [] if part.without_kinds or folder == first else [first / "space.safetensors", first / "tokenizer.json"]
    shared += [first / f"{stage}.safetensors" for stage in STAGES if stage not in part.retrained]
    for file in (*plan.work.glob("drawings-*.npy"), *shared):
        link = folder / file.name
        if not link.is_symlink():
            link.symlink_to(file.resolve())
    return folder


def format_figures_row(name: str, figures: HeldOutFigures) -> str:
    names = [row.at for row in figures.recall if row.direction == "image->text" and row.prompts == "name"]
    means = dict(zip(DEPTHS, np.mean(names, axis=0), strict=True))
    phrases = [f"{row.precision:.3f} ± {row.precision_error:.3f}" for row in figures.phrases if row.language == "all"]
    return format_row(name, f"{means[1]:.3f}", f"{means[10]:.3f}", *phrases)


def format_row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
