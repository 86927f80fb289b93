"""Scenes of which some have captions only, and the teacher who labels them."""

import random
from collections import Counter

import numpy as np
import pytest
import torch

from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import HeadStage, ScenePlan, SelfTraining
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scene_pool import EndlessScenes, ScenePool, Teacher, choose_labels
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene
from tests.training.grounding.test_scenes import paint

PLAN = ScenePlan(size=(96, 64), counts=(1, 3), sizes=(20, 40))
DIMENSION = 16


@pytest.fixture
def art() -> SceneArt:
    return SceneArt([paint({0: 0, 1: 1, 2: 2})], 3, {"drawn": 1.0}, 0.0)


@pytest.fixture
def phrases() -> PhraseVectors:
    rows = torch.nn.functional.normalize(torch.randn(1, 3, DIMENSION), dim=-1)
    return PhraseVectors({"en": rows, "zh": rows})


def make_teacher(phrases: PhraseVectors, threshold: float, odds: float = -4.6) -> Teacher:
    """`odds`: logarithm of those of an object at each place, 1 % in a new network."""
    torch.manual_seed(0)
    network = RegionNetwork(DIMENSION, channels=16)
    torch.nn.init.constant_(network.box.bias[4], odds)
    return Teacher(network, phrases, threshold)


def compose(art: SceneArt, number: int) -> Scene:
    """Return a scene of a pool with its true boxes."""
    return compose_scene(art, PLAN, random.Random(f"scene {number}"))


def test_scenes_without_end_have_one_size_a_batch(art: SceneArt) -> None:
    drawn = EndlessScenes(art, PLAN).draw(3, random.Random(0))
    assert len({scene.image.size for scene in drawn}) == 1 and len({scene.image.tobytes() for scene in drawn}) == 3


def test_without_a_teacher_only_labelled_scenes_come(art: SceneArt) -> None:
    pool = ScenePool(art, PLAN, SelfTraining(20, 0.1), None)
    drawn = {scene.image.tobytes() for scene in pool.draw(30, random.Random(0))}
    assert drawn == {compose(art, number).image.tobytes() for number in (0, 1)}


def test_the_teacher_labels_the_others(art: SceneArt, phrases: PhraseVectors) -> None:
    """At most as many boxes of a phrase as its caption counts."""
    pool = ScenePool(art, PLAN, SelfTraining(6, 0.5), make_teacher(phrases, threshold=0.0))
    drawn = {each.image.tobytes(): each for each in pool.draw(40, random.Random(0))}
    truths = [compose(art, number) for number in range(6)]
    assert set(drawn) == {scene.image.tobytes() for scene in truths}
    for number, truth in enumerate(truths):
        scene = drawn[truth.image.tobytes()]
        if number < 3:
            np.testing.assert_array_equal(scene.boxes_n4, truth.boxes_n4)
        else:
            assert len(scene.boxes_n4) == len(scene.concepts) and Counter(scene.concepts) <= Counter(truth.concepts)
            assert not np.array_equal(scene.boxes_n4, truth.boxes_n4)


def test_a_scene_is_labelled_once(art: SceneArt, phrases: PhraseVectors) -> None:
    """So a phrase has the same box in every epoch, and the counts are of different labels."""
    teacher = make_teacher(phrases, threshold=0.0)
    pool = ScenePool(art, PLAN, SelfTraining(4, 0.25), teacher)
    boxes = {(each.image.tobytes(), each.boxes_n4.tobytes()) for each in pool.draw(40, random.Random(0))}
    assert len(boxes) == 4
    assert sum(teacher.labels.values()) == sum(len(compose(art, number).concepts) for number in (1, 2, 3))


def test_a_score_below_the_threshold_is_no_label(art: SceneArt, phrases: PhraseVectors) -> None:
    teacher = make_teacher(phrases, threshold=1.1)
    scene = compose_scene(art, PLAN, random.Random(1))
    assert teacher.label(scene, random.Random(0)).concepts == ()
    assert teacher.labels == {"right": 0, "wrong": 0, "missing": len(scene.concepts)}


def test_a_scene_without_any_label_is_left_out(art: SceneArt, phrases: PhraseVectors) -> None:
    pool = ScenePool(art, PLAN, SelfTraining(6, 0.2), make_teacher(phrases, threshold=1.1))
    assert {each.image.tobytes() for each in pool.draw(20, random.Random(0))} == {compose(art, 0).image.tobytes()}


def test_what_is_seen_and_has_no_label_is_unsure(art: SceneArt, phrases: PhraseVectors) -> None:
    """It may be what the caption names, so it is no ground; where all have labels, the rest is ground."""
    scene = compose_scene(art, PLAN, random.Random(1))
    seen, unseen = (make_teacher(phrases, 1.1, odds).label(scene, random.Random(0)) for odds in (0.0, -4.6))
    assert len(seen.unsure_m4) and not len(unseen.unsure_m4)
    whole = make_teacher(phrases, 0.0, 0.0).label(scene, random.Random(0))
    assert sorted(whole.concepts) == sorted(scene.concepts) and not len(whole.unsure_m4)


BOXES = np.array([[0, 0, 20, 20], [1, 0, 21, 20], [40, 0, 60, 20], [40, 30, 60, 50]], np.float32)


@pytest.mark.parametrize(
    ("scores", "counts", "chosen"),
    [
        ([[0.9, 0.8, 0.7, 0.1]], [2], [(0, 0), (0, 2)]),  # two of one phrase, and not one thing twice
        ([[0.9, 0.8, 0.7, 0.1]], [4], [(0, 0), (0, 2)]),
        ([[0.9, 0.0, 0.4, 0.0], [0.0, 0.8, 0.0, 0.5]], [1, 1], [(0, 0), (1, 3)]),  # a thing is of one phrase
        ([[0.2, 0.1, 0.1, 0.1]], [1], []),
    ],
)
def test_no_thing_has_two_labels(scores: list[list[float]], counts: list[int], chosen: list[tuple[int, int]]) -> None:
    assert choose_labels(BOXES, np.array(scores, np.float32), counts, 0.3) == chosen


def test_right_and_wrong_labels_are_counted(art: SceneArt, phrases: PhraseVectors) -> None:
    """A new network's boxes are 32 pixels wide, so some overlap a thing of about that size by half."""
    teacher = make_teacher(phrases, threshold=0.0)
    rng = random.Random(2)
    for _ in range(30):
        teacher.label(compose_scene(art, PLAN, rng), rng)
    assert teacher.labels["wrong"] > teacher.labels["right"] > 0


def test_experiments_have_files_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("work") / "head.safetensors"
    stages = [HeadStage(), *(HeadStage(self_training=SelfTraining(50, 0.1, teacher)) for teacher in (None, file))]
    assert len({stage.name for stage in stages}) == 3
