"""Regions of scenes, stored once; and the gain of the benchmark of fusion, which learns from them."""

import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.grounding_fusion import Measured, format_gain
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.grounding.head import MOST_COMPARED, HeadGrounder
from clip_vectorizer.models.grounding.head_file import load_head
from clip_vectorizer.query.evaluation.grounding import MatchedBoxes
from clip_vectorizer.training.grounding.plan import ScenePlan
from clip_vectorizer.training.grounding.scene_art import SceneArt
from clip_vectorizer.training.grounding.scene_regions import MOST_THINGS, find_scene_regions, load_regions
from clip_vectorizer.training.grounding.scenes import Scene, compose_scene
from clip_vectorizer.training.grounding.targets import NOTHING
from tests.models.small import CPU
from tests.training.grounding.test_scenes import paint


@pytest.fixture(scope="module")
def head() -> HeadGrounder:
    return load_head(load_encoder(ModelName("emoji"), CPU), EMOJI_DIRECTORY)


@pytest.fixture
def scene() -> Scene:
    art = SceneArt([paint({0: 0, 1: 1, 2: 2})], 3, {"drawn": 1.0}, 0.0)
    return compose_scene(art, ScenePlan(counts=(3, 3), grounds={"white": 1.0}), random.Random(2))


def test_regions_are_those_of_the_head_and_the_rest_is_padding(head: HeadGrounder, scene: Scene) -> None:
    found, (regions, vectors) = find_scene_regions(head, scene), head.embed_best(scene.image)
    count, things = len(regions.boxes_n4), len(scene.concepts)
    np.testing.assert_array_equal(found.boxes_sn4[0, :count], regions.boxes_n4)
    np.testing.assert_allclose(found.compared_snd[0, :count], vectors, atol=1e-6)
    assert (found.objectness_sn[0] > 0).sum() == count
    assert found.concepts_sm[0].tolist() == [*scene.concepts, *[NOTHING] * (MOST_THINGS - things)]
    assert found.overlaps_snm.shape == (1, MOST_COMPARED, MOST_THINGS)
    assert (found.overlaps_snm[0, :, :things].max(axis=0) > 0.5).all() and not found.overlaps_snm[0, :, things:].any()


def test_regions_are_found_once(head: HeadGrounder, scene: Scene, tmp_path: Path) -> None:
    first = load_regions(tmp_path, "some", head, lambda: [scene, scene])
    again = load_regions(tmp_path, "some", head, lambda: pytest.fail("computed twice"))
    assert len(first) == 2
    np.testing.assert_array_equal(again.heads_snd, first.heads_snd)


def test_a_gain_is_the_difference_with_its_interval() -> None:
    """Ten scenes of two phrases: one hit each against none in half of them."""
    nothing = MatchedBoxes(np.zeros((1, 0), bool), np.zeros(0, np.int64), np.zeros(10, np.int64))

    def measured(hits: list[float]) -> Measured:
        return Measured(np.array(hits), np.full(10, 2.0), nothing, 0.0, 0.0, 0.0, 0.0, 0.0)

    ours, theirs = measured([1.0] * 10), measured([1.0, 0.0] * 5)
    gain = format_gain([ours, ours], [theirs], Measured.recall)
    assert (
        gain.startswith("+0.250 (+0.1") and format_gain([ours], [ours], Measured.recall) == "+0.000 (+0.000 to +0.000)"
    )
