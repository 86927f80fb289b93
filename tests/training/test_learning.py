import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from clip_vectorizer.training.captions import (
    END,
    draw_caption,
    encode_token_ids,
    train_tokenizer,
)
from clip_vectorizer.training.contrastive import WeightAverage, contrastive_loss, learning_rate
from clip_vectorizer.training.loop import TrainingStage, draw_batches, shuffle_runs


def unit_rows(count: int, dimension: int) -> torch.Tensor:
    return F.normalize(torch.randn(count, dimension), dim=-1)


def test_the_loss_is_that_of_guessing_when_all_vectors_are_equal() -> None:
    same = unit_rows(1, 8).repeat(16, 1)
    assert contrastive_loss(same, same, torch.tensor(10.0)).item() == pytest.approx(
        torch.log(torch.tensor(16.0)).item()
    )


def test_matching_pairs_cost_less_than_swapped_ones() -> None:
    images = torch.eye(4)
    scale = torch.tensor(20.0)
    assert contrastive_loss(images, images, scale) < contrastive_loss(images, images.flip(0), scale) / 5


def test_more_texts_to_choose_among_cost_more() -> None:
    images, texts, scale = unit_rows(4, 8), unit_rows(4, 8), torch.tensor(5.0)
    assert contrastive_loss(images, texts, scale, unit_rows(50, 8)) > contrastive_loss(images, texts, scale)


def test_the_average_follows_the_weights() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    average = WeightAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(100.0)
    for step in range(200):
        average.update(model, step)
    assert average.state["weight"].item() == pytest.approx(100.0, rel=1e-3)


def test_the_learning_rate_rises_then_falls_to_zero() -> None:
    rates = [learning_rate(step, steps=100, warmup=10, peak=1.0) for step in range(100)]
    assert rates[9] == max(rates) == 1.0
    assert rates[-1] < 0.001


@given(concepts=st.integers(40, 200), length=st.integers(1, 12), seed=st.integers(0, 1000))
def test_runs_hold_every_concept_once(concepts: int, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    order = torch.cat(list(shuffle_runs(concepts, length)))
    assert sorted(order.tolist()) == list(range(concepts))


def test_batches_never_hold_a_concept_twice_and_end_with_neighbours() -> None:
    all_batches = list(draw_batches(100, TrainingStage(steps=10, peak=1.0, batch=64)))
    assert all(len(set(batch.tolist())) == 64 for batch in all_batches)
    neighbours = [(batch.diff() == 1).float().mean().item() for batch in all_batches]
    assert neighbours[0] < 0.2 < 0.7 < neighbours[-1]


def test_captions_are_mostly_the_plain_name() -> None:
    rng = random.Random(1)
    captions = [draw_caption("cat", ["pet", "animal"], ["a drawing of {}"], ", ", rng) for _ in range(2000)]
    assert 0.65 < captions.count("cat") / 2000 < 0.75
    assert captions.count("a drawing of cat") > 200
    assert all("cat" in text for text in captions)


def test_the_end_token_has_the_highest_id_and_closes_every_text() -> None:
    tokenizer = train_tokenizer(["red circle", "红色圆"] * 10, vocabulary=300, context=8)
    ids = encode_token_ids(tokenizer, ["red", "红色圆 red circle red circle red circle"])
    end = tokenizer.token_to_id(END)
    assert end == tokenizer.get_vocab_size() - 1
    assert ids.shape[1] == 8
    assert (ids == end).sum(dim=1).tolist() == [1, 1]
    assert ids[1, -1] == end
