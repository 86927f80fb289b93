"""The benchmark of self-training, on the miniature."""

import json
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors.torch import load_file

from benchmarks.self_training import (
    ARMS,
    ArmResult,
    SelfTrainingBench,
    compare_arms,
    describe_labels,
    format_gain,
    measure_gain,
    plan_stage,
    prepare_bench,
)
from clip_vectorizer.query.evaluation.grounding import MatchedBoxes
from clip_vectorizer.training.grounding.plan import SelfTraining
from clip_vectorizer.training.grounding.scenes import compose_scene
from tests.training.art import write_packages

SCENES = 3
LABELS = r"\d+ right, \d+ wrong \(\d+\.\d% of \d+\), \d+ things without"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> SelfTrainingBench:
    work = tmp_path_factory.mktemp("self-training")
    write_packages(work / "packages")
    stage = replace(plan_stage(steps=2, side=64), batch=2, absent=4, warmup=1, channels=16)
    pool = SelfTraining(6, 0.5, threshold=0.0)
    return prepare_bench(work, work / "bench", pool, SCENES, 2, stage, student_steps=1)


@pytest.fixture(scope="module")
def lines(bench: SelfTrainingBench) -> list[str]:
    return list(compare_arms(bench, [0]))


def test_each_arm_has_a_row_and_each_student_a_gain(lines: list[str]) -> None:
    table = "\n".join(lines).splitlines()
    share = r"0\.\d{3} \(0\.\d{3}-0\.\d{3}\)"
    for arm, line in zip(ARMS.values(), table[2:], strict=False):
        assert re.fullmatch(rf"\| {re.escape(arm)} \| {share} \| {share} \|", line)
    assert [line.split(":")[0] for line in table[6:]] == [
        *("without against teacher", "with against without", "all against with"),
        "labels of the teacher, seed 0",
    ]
    assert re.search(LABELS, table[-1])


def test_labels_are_counted_of_the_scenes_that_were_drawn(bench: SelfTrainingBench, lines: list[str]) -> None:
    things = [
        len(compose_scene(bench.art, bench.stage.scenes, random.Random(f"scene {number}")).concepts)
        for number in range(3, 6)
    ]
    labels = json.loads(bench.labels_file(0).read_text())
    assert min(things) <= sum(labels.values()) <= sum(things) and labels["right"] + labels["wrong"] > 0


def test_students_learn_from_other_scenes_and_the_trunk_that_they_share_stays(
    bench: SelfTrainingBench, lines: list[str]
) -> None:
    heads = {arm: load_file(bench.folder / f"{arm}-0.safetensors") for arm in ARMS}
    for name in ("box.bias", "bins.weight", "direct.weight"):
        assert len({head[name].numpy().tobytes() for head in heads.values()}) == len(ARMS)
    assert len({head["trunk.layer3.0.conv1.weight"].numpy().tobytes() for head in heads.values()}) == 1


def test_what_is_there_is_not_done_again(bench: SelfTrainingBench, lines: list[str]) -> None:
    files = {file: file.stat().st_mtime_ns for file in bench.folder.iterdir()}
    assert list(compare_arms(bench, [0])) == lines
    assert {file: file.stat().st_mtime_ns for file in bench.folder.iterdir()} == files
    assert len(files) == 2 * len(ARMS) + 1


def make_result(right: list[bool]) -> ArmResult:
    """Return one phrase and one box for each picture."""
    count = len(right)
    right_n, pictures_n = np.array(right), np.arange(count)
    return ArmResult(MatchedBoxes(right_n[None], pictures_n, np.ones(count, np.int64)), right_n, pictures_n)


def test_a_gain_is_the_mean_over_seeds_with_an_interval_over_scenes() -> None:
    all_right, half_right = make_result([True] * 40), make_result([True, False] * 20)
    recall, _ = measure_gain([all_right, all_right], [half_right, all_right])
    assert recall.value == pytest.approx(0.25)
    assert 0 < recall.low < 0.25 < recall.high < 0.5
    same = measure_gain([half_right], [half_right])
    assert [(each.value, each.low, each.high) for each in same] == [(0, 0, 0)] * 2
    assert format_gain(recall).startswith("+0.250 (+0.")


def test_a_picture_counts_as_often_as_it_is_drawn() -> None:
    result = make_result([True, False, False, False])
    assert result.measure(np.ones(4)).tolist() == pytest.approx([0.25, 0.25], abs=0.01)
    assert result.measure(np.array([4.0, 0, 0, 0])).tolist() == pytest.approx([1, 1])


def test_the_share_of_wrong_labels_is_of_those_that_there_are() -> None:
    assert describe_labels({"right": 30, "wrong": 10, "missing": 60}) == (
        "30 right, 10 wrong (25.0% of 40), 60 things without"
    )
    assert describe_labels({}) == "0 right, 0 wrong (0.0% of 0), 0 things without"
