"""Scenes of which some have captions only, and the teacher who labels them."""

import random

import numpy as np
import pytest
import torch

from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.plan import HeadStage, ScenePlan, SelfTraining
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scene_pool import EndlessScenes, ScenePool, Teacher
from clip_vectorizer.training.grounding.scenes import compose_scene, list_shown
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


def make_teacher(phrases: PhraseVectors, threshold: float) -> Teacher:
    torch.manual_seed(0)
    return Teacher(RegionNetwork(DIMENSION, channels=16), phrases, threshold)


def test_scenes_without_end_have_one_size_a_batch(art: SceneArt) -> None:
    drawn = EndlessScenes(art, PLAN).draw(3, random.Random(0))
    assert len({scene.image.size for scene in drawn}) == 1 and len({scene.image.tobytes() for scene in drawn}) == 3


def test_without_a_teacher_only_labelled_scenes_come(art: SceneArt) -> None:
    pool = ScenePool(art, PLAN, SelfTraining(20, 0.1), None)
    drawn = {scene.image.tobytes() for scene in pool.draw(30, random.Random(0))}
    assert drawn == {compose_scene(art, PLAN, random.Random(f"scene {number}")).image.tobytes() for number in (0, 1)}


def test_the_teacher_labels_the_others(art: SceneArt, phrases: PhraseVectors) -> None:
    teacher = make_teacher(phrases, threshold=0.0)
    pool = ScenePool(art, PLAN, SelfTraining(6, 0.5), teacher)
    drawn = pool.draw(40, random.Random(0))
    truths = {
        scene.image.tobytes(): scene
        for scene in (compose_scene(art, PLAN, random.Random(f"scene {number}")) for number in range(6))
    }
    assert {scene.image.tobytes() for scene in drawn} == set(truths)
    of_teacher = [each for each in drawn if not np.array_equal(each.boxes_n4, truths[each.image.tobytes()].boxes_n4)]
    assert of_teacher and sum(teacher.labels.values()) == sum(len(each.concepts) for each in of_teacher)
    for each in of_teacher:
        assert list(each.concepts) == list_shown(truths[each.image.tobytes()])  # one box for each phrase


def test_a_score_below_the_threshold_is_no_label(art: SceneArt, phrases: PhraseVectors) -> None:
    scene = compose_scene(art, PLAN, random.Random(1))
    assert make_teacher(phrases, threshold=1.1).label(scene, random.Random(0)) is None


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
