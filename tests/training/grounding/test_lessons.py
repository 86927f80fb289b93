"""Targets and losses of the head."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from clip_vectorizer.models.grounding.network import BINS, STRIDE, RegionNetwork, locate_places, pool
from clip_vectorizer.training.grounding.lessons import compute_box_losses, make_batch
from clip_vectorizer.training.grounding.losses import align_loss, measure_overlaps, objectness_loss
from clip_vectorizer.training.grounding.regions import REGIONS, choose_regions
from clip_vectorizer.training.grounding.scenes import Scene
from clip_vectorizer.training.grounding.targets import NOTHING, UNSURE, assign_places

NONE = torch.zeros(0, 4)


def boxes(*rows: tuple[float, ...]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float32)


def test_places_near_the_centre_answer_for_a_thing() -> None:
    targets = assign_places(boxes((32, 32, 64, 64)), NONE, 12, 12)
    places = locate_places(12, 12, torch.device("cpu"))[targets.things_l == 0]
    assert 9 <= len(places) <= 16 and ((places - 48).abs() <= 1.5 * STRIDE).all()
    assert (targets.boxes_l4[targets.things_l == 0] == boxes((32, 32, 64, 64))).all()
    assert (targets.boxes_l4[targets.things_l == NOTHING] == 0).all()


def test_the_smallest_thing_has_a_place() -> None:
    assert (assign_places(boxes((1, 1, 2, 2)), NONE, 4, 4).things_l == 0).sum() == 1


def test_the_thing_on_top_answers() -> None:
    below, above = (0, 0, 64, 64), (16, 16, 48, 48)
    assert set(assign_places(boxes(below, above), NONE, 8, 8).things_l.tolist()) == {NOTHING, 1}


def test_places_of_what_is_unsure_are_neither_thing_nor_ground() -> None:
    thing, unsure = (0, 0, 32, 32), boxes((0, 0, 32, 32), (64, 64, 96, 96))
    targets = assign_places(boxes(thing), unsure, 12, 12)
    without = assign_places(boxes(thing), NONE, 12, 12)
    assert (targets.things_l[without.things_l == 0] == 0).all()  # the thing goes first
    places = locate_places(12, 12, torch.device("cpu"))[targets.things_l == UNSURE]
    assert 9 <= len(places) <= 16 and ((places - 80).abs() <= 1.5 * STRIDE).all()


def test_regions_of_what_is_unsure_are_known() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        maps = RegionNetwork(16, channels=16).eval()(torch.rand(2, 3, 64, 64))
    truths, unsure = [boxes((0, 0, 16, 16))] * 2, [NONE, maps.boxes_bl4[1]]
    sure, other = choose_regions(maps, truths, unsure).things_bk
    assert sure.tolist()[0] == 0 and set(sure.tolist()[1:]) <= {0, NOTHING}
    assert other.tolist()[0] == 1 and other.tolist()[1:] == [UNSURE] * (REGIONS - 1)


def test_objectness_is_not_learned_where_nothing_is_known() -> None:
    image = Image.new("RGB", (64, 64), "white")
    thing, unsure = (np.array([box], np.float32) for box in ((0, 0, 24, 24), (32, 32, 64, 64)))
    batch = make_batch([Scene(image, "white", thing, (0,), unsure)])
    maps = RegionNetwork(16, channels=16).eval()(batch.pixels_b3hw)
    (slope_bl,) = torch.autograd.grad(compute_box_losses(maps, batch)["objectness"], maps.objectness_bl)
    unsure_bl = batch.things_bl == UNSURE
    assert unsure_bl.any() and (slope_bl[unsure_bl] == 0).all() and (slope_bl[~unsure_bl] != 0).all()


def test_overlaps_are_those_that_can_be_worked_out() -> None:
    overlap, generalized = measure_overlaps(
        boxes((0, 0, 2, 2), (0, 0, 1, 1), (0, 0, 1, 1)), boxes((1, 0, 3, 2), (0, 0, 1, 1), (3, 0, 4, 1))
    )
    assert overlap.tolist() == pytest.approx([1 / 3, 1, 0])
    assert generalized.tolist() == pytest.approx([1 / 3, 1, -0.5])  # two of four units of the hull are empty


def test_alignment_is_the_focal_loss_by_hand() -> None:
    logit = torch.tensor([[[2.0]]])
    probability = torch.sigmoid(torch.tensor(2.0))
    right, wrong = align_loss(logit, torch.ones(1, 1, 1), 1), align_loss(logit, torch.zeros(1, 1, 1), 1)
    torch.testing.assert_close(right, -0.25 * (1 - probability) ** 2 * probability.log())
    torch.testing.assert_close(wrong, -0.75 * probability**2 * (1 - probability).log())


def test_objectness_is_least_at_the_overlap() -> None:
    overlap = torch.tensor([[0.7]])
    losses = [objectness_loss(torch.logit(torch.tensor([[value]])), overlap, 1).item() for value in (0.5, 0.7, 0.9)]
    assert losses[1] == pytest.approx(0, abs=1e-6) and min(losses[0], losses[2]) > 0.01


def test_boxes_of_a_new_network_are_around_their_places() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        maps = RegionNetwork(16, channels=16).eval()(torch.rand(2, 3, 64, 96))
    assert maps.boxes_bl4.shape == (2, 8 * 12, 4)
    middles = (maps.boxes_bl4[..., :2] + maps.boxes_bl4[..., 2:]) / 2
    torch.testing.assert_close(middles[0], locate_places(8, 12, torch.device("cpu")))
    assert (maps.objectness_bl.sigmoid() < 0.05).all()


def test_a_network_learns_one_scene() -> None:
    """Alignment and boxes of a scene that is seen again and again get better, through all of the head."""
    torch.manual_seed(0)
    network = RegionNetwork(8, channels=16).eval()
    pixels, truth = torch.rand(1, 3, 64, 64), boxes((8, 8, 40, 40))
    targets = assign_places(truth, NONE, 8, 8)
    answers = (targets.things_l != NOTHING)[None]
    asked = torch.eye(8)[:4]
    optimizer = torch.optim.Adam([*network.parameters()][-20:], lr=1e-2)  # the neck and what follows
    losses = []
    for _ in range(20):
        maps = network(pixels)
        _, generalized = measure_overlaps(maps.boxes_bl4[answers], targets.boxes_l4[None][answers])
        logits = network.compare(network.embed(maps, truth[None]) @ asked.T)
        align = align_loss(logits, torch.tensor([[[0.0, 1.0, 0.0, 0.0]]]), 1)
        losses.append((align.item(), (1 - generalized).mean().item()))
        optimizer.zero_grad()
        torch.autograd.backward(align + (1 - generalized).mean())
        optimizer.step()
    assert losses[-1][0] < 0.5 * losses[0][0] and losses[-1][1] < 0.5 * losses[0][1]
    assert logits.argmax() == 1


def test_regions_look_alike_at_any_size() -> None:
    """What is pooled from a box is the map at its parts: a map that rises to the right gives rising columns."""
    rising = torch.arange(12.0).expand(1, 1, 8, 12)
    pooled = pool(rising, boxes((16, 8, 80, 40), (0, 0, 96, 64))[None], STRIDE)
    assert pooled.shape == (2, 1, BINS, BINS)
    middles = (torch.arange(BINS) + 0.5) / BINS
    torch.testing.assert_close(pooled[0, 0, 3], (16 + 64 * middles) / STRIDE - 0.5)
    assert (pooled[1, 0].diff(dim=1) > 0).all() and pooled[1, 0].diff(dim=0).abs().max() < 1e-5
