"""Scenes: whatever they show is known."""

import random
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.grounding.captions import CaptionSpan, Thing, caption_things
from clip_vectorizer.training.grounding.plan import GROUND_SHARES, ScenePlan
from clip_vectorizer.training.grounding.scene_art import MappedSet, SceneArt, find_content
from clip_vectorizer.training.grounding.scenes import caption_scene, compose_scene, cover, list_shown

SIDE, EMPTY = 40, 10  # pixels of a drawing and of its transparent rim
WHITE_GROUND = {"white": 1.0}
NAMES = (("cat", "猫"), ("fox", "狐狸"), ("red cherry", "红樱桃"))


def paint(owners: Mapping[int, int], tone: int = 0) -> MappedSet:
    """Squares of one colour each: 60 times the concept, plus `tone`, in red."""
    pixels = np.zeros((len(owners), SIDE, SIDE, 4), np.uint8)
    for concept, row in owners.items():
        pixels[row, EMPTY:-EMPTY, EMPTY:-EMPTY] = (60 * concept + tone, 0, 0, 255)
    return MappedSet(owners, {"drawn": pixels})


@pytest.fixture
def art() -> SceneArt:
    return SceneArt([paint({0: 0, 1: 1, 2: 2}), paint({2: 0, 1: 1}, tone=30)], 3, {"drawn": 1.0}, 0.0)


def test_a_box_is_where_its_drawing_is(art: SceneArt) -> None:
    scene = compose_scene(art, ScenePlan(counts=(4, 4), overlap=0.0, grounds=WHITE_GROUND), random.Random(1))
    pixels = np.asarray(scene.image)
    inside = np.zeros(pixels.shape[:2], bool)
    for (x0, y0, x1, y1), concept in zip(scene.boxes_n4.astype(int), scene.concepts, strict=True):
        assert set((pixels[y0:y1, x0:x1, 0] // 60).ravel()) == {concept}
        inside[y0:y1, x0:x1] = True
    assert (pixels[~inside] == 255).all()


def test_sizes_counts_and_overlaps_are_those_of_the_plan(art: SceneArt) -> None:
    rng, plan = random.Random(2), ScenePlan(counts=(2, 5), sizes=(20, 60), overlap=0.2)
    for _ in range(30):
        scene = compose_scene(art, plan, rng)
        boxes = [tuple(box) for box in scene.boxes_n4.astype(int).tolist()]
        assert 1 <= len(boxes) <= 5
        assert all(20 <= max(x1 - x0, y1 - y0) <= 60 and x0 >= 0 and y1 <= 192 for x0, y0, x1, y1 in boxes)
        assert all(cover(boxes[a], boxes[b]) <= 0.2 for b in range(len(boxes)) for a in range(b))


def test_shares_are_boxes_of_the_picture(art: SceneArt) -> None:
    scene = compose_scene(art, ScenePlan(size=(160, 96)), random.Random(3))
    np.testing.assert_allclose(scene.shares_n4 * (160, 96, 160, 96), scene.boxes_n4, rtol=1e-5)


def test_a_seed_gives_the_same_scene(art: SceneArt) -> None:
    first, again, other = (compose_scene(art, ScenePlan(), random.Random(seed)) for seed in (4, 4, 5))
    assert first.image.tobytes() == again.image.tobytes() != other.image.tobytes()
    assert first.concepts == again.concepts


def test_all_kinds_of_ground_come(art: SceneArt) -> None:
    rng = random.Random(6)
    assert {compose_scene(art, ScenePlan(), rng).ground for _ in range(60)} == set(GROUND_SHARES)


def test_drawings_of_all_artists_come(art: SceneArt) -> None:
    rng = random.Random(7)
    tones = {np.asarray(art.draw(1, rng))[0, 0, 0] for _ in range(40)}
    assert tones == {60, 90}


def test_a_concept_that_nobody_drew_is_refused() -> None:
    with pytest.raises(TrainingDataError, match="1 of 3 concepts"):
        SceneArt([paint({0: 0, 1: 1})], 3, {"drawn": 1.0}, 0.0)


def test_an_empty_drawing_keeps_its_size() -> None:
    assert find_content(Image.new("RGBA", (8, 6))) == (0, 0, 8, 6)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_spans_of_a_caption_are_its_noun_phrases(art: SceneArt, language: str) -> None:
    concepts = [Concept(str(index), english, chinese, (), ()) for index, (english, chinese) in enumerate(NAMES)]
    rng = random.Random(8)
    for _ in range(30):
        scene = compose_scene(art, ScenePlan(), rng)
        caption = caption_scene(scene, concepts, language, rng)
        shown = list_shown(scene)
        assert [span.thing for span in caption.spans] == list(range(len(shown)))
        for span, concept in zip(caption.spans, shown, strict=True):
            name = NAMES[concept][language == "zh"]
            phrase = caption.text[span.start : span.end]
            assert name.removesuffix("y") in phrase and phrase == phrase.strip()


def test_captions_count_things() -> None:
    caption = caption_things([Thing("cat", 1), Thing("red cherry", 2), Thing("orange", 1)], "en", random.Random(0))
    assert "a cat, two red cherries and an orange" in caption.text
    start = caption.text.index("two")
    assert caption.spans[1] == CaptionSpan(start, start + len("two red cherries"), 1)
