"""The head that ships with `emoji`, on scenes of example drawings, which it never saw."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clip_vectorizer.boxes import BoxArray, ScoreArray, areas, overlaps
from clip_vectorizer.models.catalog import EMOJI_DIRECTORY, ModelName, load_encoder
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import RegionVectors
from clip_vectorizer.models.grounding.head import STEP, HeadGrounder, prepare_scene
from clip_vectorizer.models.grounding.head_file import load_head
from tests.models.small import CPU

EXAMPLES = Path(__file__).parents[3] / "examples" / "images"
SIDE = 240
# Drawing, its phrases in two languages, and its place in the scene: left, top, side in pixels.
THINGS = (
    ("fruit/red-apple.png", "a red apple", "红苹果", (20, 24, 90)),
    ("insects/butterfly.png", "a butterfly", "蝴蝶", (140, 20, 80)),
    ("musical instruments/guitar.png", "a guitar", "吉他", (70, 130, 100)),
)
ABSENT = ("a rocket", "a snowman", "a pair of scissors", "a traffic light")


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(ModelName("emoji"), CPU)


@pytest.fixture(scope="module")
def head(encoder: Encoder) -> HeadGrounder:
    return load_head(encoder, EMOJI_DIRECTORY)


def compose(width: int = SIDE, height: int = SIDE) -> tuple[Image.Image, BoxArray]:
    """A white picture with all things; the boxes are those of the drawings without their empty margins."""
    scene = Image.new("RGB", (width, height), "white")
    boxes = []
    for file, _, _, (left, top, side) in THINGS:
        drawing = Image.open(EXAMPLES / file).convert("RGBA").resize((side, side))
        scene.paste(drawing, (left, top), drawing)
        alpha = drawing.getchannel("A").point(lambda value: 255 * (value > 25))
        x0, y0, x1, y1 = alpha.getbbox() or (0, 0, side, side)
        boxes.append(((left + x0) / width, (top + y0) / height, (left + x1) / width, (top + y1) / height))
    return scene, np.array(boxes, np.float32)


def best_boxes(head: HeadGrounder, scene: Image.Image, phrases: Sequence[str]) -> BoxArray:
    found = head.ground(scene, [[phrase] for phrase in phrases])
    return found.regions.boxes_n4[found.probabilities_pn.argmax(axis=1)]


@pytest.mark.parametrize("language", [1, 2], ids=["English", "Chinese"])
def test_each_phrase_finds_its_drawing(head: HeadGrounder, language: int) -> None:
    scene, truth = compose()
    found = best_boxes(head, scene, [str(thing[language]) for thing in THINGS])
    assert (np.diag(overlaps(found, truth)) >= 0.5).all()


def test_a_phrase_of_something_else_is_less_likely(head: HeadGrounder) -> None:
    scene, _ = compose()
    present = head.ground(scene, [[str(thing[1])] for thing in THINGS]).probabilities_pn.max(axis=1)
    absent = head.ground(scene, [[phrase] for phrase in ABSENT]).probabilities_pn.max(axis=1)
    assert present.mean() > absent.mean() + 0.3


def test_regions_without_phrases_are_the_drawings(head: HeadGrounder) -> None:
    scene, truth = compose()
    regions = head.propose(scene, 6)
    assert len(regions.boxes_n4) <= 6
    assert (overlaps(regions.boxes_n4, truth).max(axis=0) >= 0.5).all()
    assert (np.diff(regions.objectness_n) <= 0).all() and (regions.objectness_n > 0).all()
    assert regions.vectors_nd is not None
    np.testing.assert_allclose(np.linalg.norm(regions.vectors_nd, axis=1), 1, atol=1e-5)


def test_boxes_are_shares_of_a_picture_of_any_shape(head: HeadGrounder) -> None:
    scene, truth = compose(480, SIDE)
    assert (overlaps(head.propose(scene, 8).boxes_n4, truth).max(axis=0) >= 0.5).all()
    assert [side % STEP for side in prepare_scene(scene).shape[2:]] == [0, 0]


def score_crops(head: HeadGrounder, phrases: Sequence[str], objectness: float | None = None) -> ScoreArray:
    """Probabilities of the drawings' own boxes as they are stored: by the vectors of their crops."""
    scene, truth = compose()
    objectness_n = np.full(len(truth), np.nan if objectness is None else objectness, dtype=np.float32)
    regions = RegionVectors(head.encode_crops(scene, truth), objectness_n)
    return head.score(regions, [[phrase] for phrase in phrases]).probabilities_pn


@pytest.mark.parametrize("language", [1, 2], ids=["English", "Chinese"])
@pytest.mark.parametrize("objectness", [None, 0.8], ids=["unknown", "known"])
def test_stored_regions_are_compared_without_a_picture(
    head: HeadGrounder, language: int, objectness: float | None
) -> None:
    present = score_crops(head, [str(thing[language]) for thing in THINGS], objectness)
    assert present.argmax(axis=1).tolist() == list(range(len(THINGS)))
    assert (np.diag(present) >= 0.5).sum() >= 2 and (present[~np.eye(len(THINGS), dtype=bool)] < 0.5).all()
    assert (score_crops(head, ABSENT, objectness) < 0.5).all()


def test_a_stored_region_is_the_more_likely_the_more_it_is_an_object(head: HeadGrounder) -> None:
    unlikely, unknown, likely = (score_crops(head, ["a red apple"], each)[0, 0] for each in (0.05, None, 0.9))
    assert unlikely < unknown < likely


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (4000, 20)])
def test_odd_pictures_have_regions_inside_them(head: HeadGrounder, size: tuple[int, int]) -> None:
    found = head.ground(Image.new("RGB", size, "red"), [["a cat"]])
    boxes = found.regions.boxes_n4
    assert len(boxes) and (boxes >= 0).all() and (boxes <= 1).all() and (areas(boxes) >= 0).all()
    assert np.isfinite(found.probabilities_pn).all()


def test_the_same_picture_gives_the_same_regions(head: HeadGrounder, encoder: Encoder) -> None:
    scene, _ = compose()
    first, again = head.propose(scene, 5), load_head(encoder, EMOJI_DIRECTORY).propose(scene, 5)
    np.testing.assert_array_equal(first.boxes_n4, again.boxes_n4)
    assert head.info == load_head(encoder, EMOJI_DIRECTORY).info and not head.info.fused


def test_prompts_of_a_phrase_are_averaged(head: HeadGrounder) -> None:
    both, one, other = head.encode_phrases([["a cat", "a drawing of a cat"], ["a cat"], ["a drawing of a cat"]])
    np.testing.assert_allclose(both, (one + other) / np.linalg.norm(one + other), atol=1e-5)


def test_more_phrases_than_one_pass_keep_their_order(head: HeadGrounder) -> None:
    names = [f"{number} cats" for number in range(150)]
    rows = head.encode_phrases([[name] for name in names])
    np.testing.assert_allclose(rows[[0, 149]], head.encode_phrases([[names[0]], [names[149]]]), atol=1e-5)


def test_the_head_alone_has_a_calibration_of_its_own(encoder: Encoder) -> None:
    scene, truth = compose()
    alone = load_head(encoder, EMOJI_DIRECTORY, crops=False)
    assert (overlaps(best_boxes(alone, scene, ["a red apple"]), truth[:1]) >= 0.5).all()


def test_a_cpu_without_bf16_finds_the_same_regions(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, _ = compose()
    found = []
    for fast in (True, False):
        monkeypatch.setattr("clip_vectorizer.models.grounding.head.has_fast_bf16", lambda fast=fast: fast)
        found.append(load_head(encoder, EMOJI_DIRECTORY).propose(scene, len(THINGS)).boxes_n4)
    assert not np.isin(found[0], found[1]).any(), "bf16 was not used"
    assert (overlaps(found[0], found[1]).max(axis=1) > 0.95).all()  # in another order: all are sure to be things
