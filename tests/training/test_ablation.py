"""The benchmark of what each part brings, on the miniature."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.ablation import PARTS, measure_parts
from clip_vectorizer.training.emoji import TrainingPlan
from clip_vectorizer.training.image_tower import ImageStage, plan_second_part
from clip_vectorizer.training.sentence_vectors import SentenceVectors
from clip_vectorizer.training.text_corpus import CorpusSizes
from clip_vectorizer.training.text_tower import TextStage, plan_naming_part
from tests.training.art import write_packages
from tests.training.word_vectors import compute_word_vectors

STAGES = ("image", "image-restyled", "text", "text-naming", "space")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all parts, each trained for one step."""
    work = tmp_path_factory.mktemp("ablation")
    write_packages(work / "packages")
    plan = TrainingPlan(
        work,
        work / "ablation",
        ImageStage(steps=1, warmup=1, batch=4, sizes=(32, 32)),
        replace(plan_second_part(steps=1), warmup=1, batch=4, sizes=(32, 32)),
        TextStage(steps=1, warmup=1, general=4, owned=4),
        replace(plan_naming_part(steps=1), warmup=1, general=4, owned=4),
        corpus=CorpusSizes(glosses=9, words=9, verbs=2, chinese=20, phrases_en=20, phrases_zh=20, frequent=20),
    )
    rows = list(measure_parts(plan, SentenceVectors(work / "e5.npz", compute_word_vectors)))
    (work / "table.md").write_text("\n".join(rows))
    return work / "ablation"


def is_own(folder: Path, stage: str) -> bool:
    """Whether the folder has its own weights rather than a link."""
    without = re.compile("-without-.*(?=-restyled)|-without-.*")
    files = {without.sub("", file.stem): file for file in folder.glob("*.safetensors")}
    return not files[stage].is_symlink()


def test_each_part_has_its_row(work: Path) -> None:
    rows = (work.parent / "table.md").read_text().splitlines()
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [part.name for part in PARTS]


@pytest.mark.parametrize(
    ("part", "own"),
    [
        ("nothing", ["image", "image-restyled", "text", "text-naming", "space"]),
        ("five-art-sets", ["image", "image-restyled"]),
        ("warps-neighbours-textures", ["image", "image-restyled"]),
        ("restyled-drawings", ["image-restyled"]),
        ("texts-in-general", ["text", "text-naming"]),
        ("names-at-prototypes", ["text-naming"]),
        ("kinds-and-definitions", ["image", "image-restyled", "text", "text-naming", "space"]),
    ],
)
def test_what_a_part_changes_is_trained_again_and_the_rest_is_shared(work: Path, part: str, own: list[str]) -> None:
    assert [stage for stage in STAGES if is_own(work / part, stage)] == own


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        *(("texts-in-general", "text"), ("kinds-and-definitions", "text"), ("warps-neighbours-textures", "image")),
        ("restyled-drawings", "image-restyled"),
    ],
)
def test_other_lessons_give_other_weights(work: Path, part: str, stage: str) -> None:
    whole, other = ((work / name / f"{stage}.safetensors").read_bytes() for name in ("nothing", part))
    assert whole != other
