"""Deep fusion on top of a frozen head: its attention, its symmetries, and that it learns."""

import math
import random

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from clip_vectorizer.boxes import overlaps
from clip_vectorizer.models.grounding.comparison import Calibration
from clip_vectorizer.training.grounding.fusion import (
    FusionDesign,
    FusionInput,
    FusionNetwork,
    FusionTraining,
    Mixing,
    Start,
    TwoSidedAttention,
    choose_question,
    compete,
    draw_questions,
    measure_loss,
    train_fusion,
)
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.scene_regions import SceneRegions, pad
from clip_vectorizer.training.grounding.targets import NOTHING

DIMENSION, CONCEPTS, REGIONS, THINGS = 8, 12, 5, 2
CALIBRATION = Calibration((4.0, -1.0, 0.5), -2.0)
DESIGNS = [
    FusionDesign((Mixing.ACROSS, Mixing.ACROSS)),
    FusionDesign((Mixing.ACROSS, Mixing.WITHIN), Start.SCORES),
    FusionDesign((Mixing.WITHIN,), Start.NONE),
    FusionDesign((Mixing.ALONE,)),
]


def unit_rows(shape: tuple[int, ...], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    rows = rng.normal(size=shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=-1, keepdims=True), dtype=np.float32)


def make_phrases() -> PhraseVectors:
    rows = torch.from_numpy(unit_rows((1, CONCEPTS, DIMENSION), np.random.default_rng(0)))
    return PhraseVectors({"en": rows, "zh": rows})


def make_regions(scenes: int, seed: int = 0) -> SceneRegions:
    """Scenes of two things: the first two regions are right; vectors of regions say nothing, corners say which."""
    rng = np.random.default_rng(seed)
    concepts = np.stack([rng.choice(CONCEPTS, THINGS, replace=False) for _ in range(scenes)])
    boxes = np.sort(rng.random((scenes, REGIONS, 2, 2)), axis=2).reshape(scenes, REGIONS, 4).astype(np.float32)
    things = [pad(overlaps(each[:THINGS], each).T, REGIONS)[0] for each in boxes]
    objectness = np.full((scenes, REGIONS), 0.5, np.float32)
    vectors = unit_rows((scenes, REGIONS, DIMENSION), rng)
    names = np.full((scenes, REGIONS), 0.1, np.float32)
    return SceneRegions(boxes, objectness, vectors, vectors, names, np.stack(things), concepts)


def make_input(phrases: int = 3, seed: int = 0) -> FusionInput:
    batch, _ = draw_questions(
        make_regions(4, seed),
        make_phrases(),
        CALIBRATION,
        FusionTraining(batch=4, phrases=(phrases, phrases)),
        random.Random(0),
    )
    return batch


def start_network(design: FusionDesign) -> FusionNetwork:
    """Random weights everywhere, so that nothing is 0 by its start."""
    torch.manual_seed(1)
    network = FusionNetwork(DIMENSION, design)
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.3)
    return network


def test_the_attention_is_that_of_the_article() -> None:
    """One matrix of scores, a softmax along either side: GLIP's formulas once more, in numpy, head by head."""
    torch.manual_seed(0)
    attention, heads, width = TwoSidedAttention(width=6, heads=2), 2, 6
    regions, phrases, prior = torch.randn(1, 4, width), torch.randn(1, 3, width), torch.randn(1, 3, 4)
    with torch.inference_mode():
        read_n, read_p = attention.read_across(regions, phrases, prior)
    o, p, by_regions, by_phrases = regions[0].numpy(), phrases[0].numpy(), [], []
    for head in range(heads):
        part = slice(head * width // heads, (head + 1) * width // heads)
        queries_o, queries_p = (
            apply(layer, x)[:, part] for layer, x in ((attention.region_query, o), (attention.phrase_query, p))
        )
        scores = queries_o @ queries_p.T / math.sqrt(width / heads) + prior[0].numpy().T
        by_regions.append(softmax(scores) @ apply(attention.phrase_value, p)[:, part])
        by_phrases.append(softmax(scores.T) @ apply(attention.region_value, o)[:, part])
    np.testing.assert_allclose(read_n[0], apply(attention.region_out, np.concatenate(by_regions, 1)), atol=1e-5)
    np.testing.assert_allclose(read_p[0], apply(attention.phrase_out, np.concatenate(by_phrases, 1)), atol=1e-5)


def apply(layer: nn.Linear, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(rows @ layer.weight.detach().numpy().T + layer.bias.detach().numpy())


def softmax(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("design", DESIGNS)
def test_the_order_of_regions_and_phrases_does_not_matter(design: FusionDesign) -> None:
    network, given = start_network(design), make_input()
    regions, phrases = torch.randperm(REGIONS), torch.randperm(3)
    turned = FusionInput(
        given.features_bnf[:, regions],
        given.phrases_bpd[:, phrases],
        given.logits_bpn[:, phrases][:, :, regions],
        given.padding_bn[:, regions],
    )
    with torch.inference_mode():
        torch.testing.assert_close(network(turned), network(given)[:, phrases][:, :, regions], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("design", DESIGNS)
def test_padding_changes_nothing(design: FusionDesign) -> None:
    network, given = start_network(design), make_input()
    padded = FusionInput(
        nn.functional.pad(given.features_bnf, (0, 0, 0, 2), value=3.0),
        given.phrases_bpd,
        nn.functional.pad(given.logits_bpn, (0, 2), value=5.0),
        nn.functional.pad(given.padding_bn, (0, 2), value=True),
    )
    with torch.inference_mode():
        torch.testing.assert_close(network(padded)[..., :REGIONS], network(given), atol=1e-4, rtol=1e-4)


def test_only_an_exchange_lets_other_phrases_matter() -> None:
    """Each side alone: a pair's logit stays when the other phrases change. Across, it does not."""

    def change_by_others(design: FusionDesign) -> float:
        network, given = start_network(design), make_input()
        others = given.phrases_bpd.clone()
        others[:, 1:] = others[:, 1:].roll(1, dims=0)
        other = FusionInput(given.features_bnf, others, given.logits_bpn, given.padding_bn)
        with torch.inference_mode():
            return float((network(other) - network(given))[:, 0].abs().max())

    assert change_by_others(FusionDesign((Mixing.ALONE,))) == 0
    assert change_by_others(FusionDesign((Mixing.ACROSS,))) > 1e-3


def test_phrases_compete_by_their_shares_of_a_region() -> None:
    logits = torch.tensor([[[2.0], [0.0]]])
    shares = torch.sigmoid(torch.tensor([2.0, -2.0]))  # softmax of two logits: the sigmoid of their difference
    torch.testing.assert_close(compete(logits)[0, :, 0], torch.tensor([2.0, 0.0]) + shares.log())
    assert torch.equal(compete(logits[:, :1]), logits[:, :1])  # alone in its question


def test_a_new_network_returns_the_head_s_logits() -> None:
    given = make_input()
    with torch.inference_mode():
        assert torch.equal(FusionNetwork(DIMENSION, FusionDesign((Mixing.ACROSS,)))(given), given.logits_bpn)


@pytest.mark.parametrize("design", DESIGNS)
def test_each_weight_that_is_used_gets_a_gradient(design: FusionDesign) -> None:
    network, given = start_network(design), make_input()
    torch.autograd.backward(network(given).square().sum())
    still = {name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()}
    assert still == set()


def test_a_question_has_the_things_of_its_scene_and_others() -> None:
    rng = random.Random(0)
    questions = [choose_question([3, 3, 7, NOTHING], CONCEPTS, 5, rng) for _ in range(50)]
    assert all(len(set(each)) == 5 and NOTHING not in each for each in questions)
    assert {len({3, 7} & set(each)) for each in questions} == {1, 2}


def test_a_region_is_right_for_the_phrase_of_its_thing() -> None:
    regions, plan = make_regions(6), FusionTraining(batch=6, phrases=(CONCEPTS, CONCEPTS))
    _, truth_bpn = draw_questions(regions, make_phrases(), CALIBRATION, plan, random.Random(0))
    assert (truth_bpn.sum((1, 2)) >= THINGS).all() and truth_bpn.sum((1, 2)).max() < THINGS * REGIONS


def test_logits_without_a_change_are_those_of_the_calibration() -> None:
    given, regions = make_input(), make_regions(4)
    rows, length = given.phrases_bpd.numpy() / math.sqrt(DIMENSION), math.sqrt(DIMENSION)
    vectors = given.features_bnf[..., :DIMENSION].numpy() / length
    cosines = np.einsum("bpd,bnd->bpn", rows, vectors)
    np.testing.assert_allclose(given.logits_bpn, 4.0 * cosines - 2.1, atol=1e-5)  # an objectness of .5 adds nothing
    assert {tuple(each) for each in vectors.round(4)[:, 0]} == {
        tuple(each) for each in regions.heads_snd.round(4)[:, 0]
    }


def test_a_network_learns_what_only_the_other_side_knows() -> None:
    """The head's logits are chance here; after some steps the loss on the scenes is far less than with them."""
    regions, phrases = make_regions(16), make_phrases()
    plan = FusionTraining(steps=60, batch=16, peak=1e-2, warmup=5, phrases=(4, 4))
    network = train_fusion(regions, phrases, CALIBRATION, FusionDesign((Mixing.ACROSS,)), plan)
    batch, truth_bpn = draw_questions(regions, phrases, CALIBRATION, plan, random.Random(9))
    with torch.inference_mode():
        before, after = (measure_loss(each, truth_bpn, batch.padding_bn) for each in (batch.logits_bpn, network(batch)))
    assert after < 0.6 * before
