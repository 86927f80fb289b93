"""The losses against NumPy: the pseudocode of the papers, and its derivatives worked out by hand."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F

from clip_vectorizer.training.pair_losses import measure_pair_recall, sigmoid_loss, softmax_loss

Array = npt.NDArray[np.float64]
EXACT = 1e-6
STEP = 1e-6  # of a difference quotient


def paper_softmax(images: Array, texts: Array, t: float) -> float:
    """Radford et al. 2021, figure 3, from the joint embedding on."""
    logits = images @ texts.T * np.exp(t)
    labels = np.arange(len(logits))
    loss_i = -np.log(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True))[labels, labels].mean()
    loss_t = -np.log(np.exp(logits) / np.exp(logits).sum(axis=0, keepdims=True))[labels, labels].mean()
    return float((loss_i + loss_t) / 2)


def paper_sigmoid(images: Array, texts: Array, t: float, bias: float) -> float:
    """Zhai et al. 2023, algorithm 1."""
    n = len(images)
    logits = images @ texts.T * np.exp(t) + bias
    labels = 2 * np.eye(n) - np.ones((n, n))
    return float(np.sum(np.log(1 + np.exp(-labels * logits))) / n)


def softmax_derivatives(images: Array, texts: Array, t: float) -> tuple[Array, Array, float]:
    """By images, by texts, by t: (softmax of the rows - 1) + (softmax of the columns - 1), through the product."""
    logits = images @ texts.T * np.exp(t)
    n = len(logits)
    rows = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    columns = np.exp(logits) / np.exp(logits).sum(axis=0, keepdims=True)
    by_logits = (rows + columns - 2 * np.eye(n)) / (2 * n)
    return by_logits @ texts * np.exp(t), by_logits.T @ images * np.exp(t), float((by_logits * logits).sum())


def sigmoid_derivatives(images: Array, texts: Array, t: float, bias: float) -> tuple[Array, Array, float, float]:
    cosines = images @ texts.T
    labels = 2 * np.eye(len(images)) - 1
    by_logits = -labels / (1 + np.exp(labels * (cosines * np.exp(t) + bias))) / len(images)
    by_t = float((by_logits * cosines * np.exp(t)).sum())
    return by_logits @ texts * np.exp(t), by_logits.T @ images * np.exp(t), by_t, float(by_logits.sum())


def unit_rows(seed: int, count: int = 7, dimension: int = 5) -> Array:
    rows = np.random.default_rng(seed).standard_normal((count, dimension))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def leaf(value: Array | float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64, requires_grad=True)


def gradient(tensor: torch.Tensor) -> Array:
    assert tensor.grad is not None
    return np.asarray(tensor.grad.numpy())


def quotient(loss: Callable[[float], float], at: float) -> float:
    return (loss(at + STEP) - loss(at - STEP)) / (2 * STEP)


@pytest.mark.parametrize("t", [0.0, float(np.log(1 / 0.07)), float(np.log(100))])
def test_the_softmax_loss_and_its_gradients_are_those_of_the_paper(t: float) -> None:
    images_nd, texts_nd = unit_rows(1), unit_rows(2)
    images, texts, temperature = leaf(images_nd), leaf(texts_nd), leaf(t)
    loss = softmax_loss(images, texts, temperature.exp())
    torch.autograd.backward(loss)
    by_images, by_texts, by_t = softmax_derivatives(images_nd, texts_nd, t)
    assert loss.item() == pytest.approx(paper_softmax(images_nd, texts_nd, t), abs=EXACT)
    np.testing.assert_allclose(gradient(images), by_images, atol=EXACT)
    np.testing.assert_allclose(gradient(texts), by_texts, atol=EXACT)
    assert float(gradient(temperature)) == pytest.approx(by_t, abs=EXACT)
    assert by_t == pytest.approx(quotient(lambda at: paper_softmax(images_nd, texts_nd, at), t), abs=EXACT)


@pytest.mark.parametrize(("t", "bias"), [(float(np.log(10)), -10.0), (1.0, 0.5)])
def test_the_sigmoid_loss_and_its_gradients_are_those_of_the_paper(t: float, bias: float) -> None:
    images_nd, texts_nd = unit_rows(3), unit_rows(4)
    images, texts, temperature, offset = leaf(images_nd), leaf(texts_nd), leaf(t), leaf(bias)
    loss = sigmoid_loss(images, texts, temperature.exp(), offset)
    torch.autograd.backward(loss)
    by_images, by_texts, by_t, by_bias = sigmoid_derivatives(images_nd, texts_nd, t, bias)
    assert loss.item() == pytest.approx(paper_sigmoid(images_nd, texts_nd, t, bias), abs=EXACT)
    np.testing.assert_allclose(gradient(images), by_images, atol=EXACT)
    np.testing.assert_allclose(gradient(texts), by_texts, atol=EXACT)
    assert float(gradient(temperature)) == pytest.approx(by_t, abs=EXACT)
    assert float(gradient(offset)) == pytest.approx(by_bias, abs=EXACT)
    assert by_t == pytest.approx(quotient(lambda at: paper_sigmoid(images_nd, texts_nd, at, bias), t), abs=EXACT)
    assert by_bias == pytest.approx(quotient(lambda at: paper_sigmoid(images_nd, texts_nd, t, at), bias), abs=EXACT)


def test_the_gradient_by_an_embedding_is_its_difference_quotient_through_normalisation() -> None:
    raw_nd, texts_nd, t = np.random.default_rng(5).standard_normal((4, 3)), unit_rows(6, 4, 3), 1.5

    def loss_at(value: float) -> float:
        moved = raw_nd.copy()
        moved[2, 1] = value
        return paper_softmax(moved / np.linalg.norm(moved, axis=1, keepdims=True), texts_nd, t)

    raw = leaf(raw_nd)
    torch.autograd.backward(softmax_loss(F.normalize(raw, dim=-1), torch.tensor(texts_nd), leaf(t).exp()))
    assert gradient(raw)[2, 1] == pytest.approx(quotient(loss_at, raw_nd[2, 1]), abs=EXACT)


def test_equal_captions_are_all_right_and_ties_are_errors() -> None:
    texts = np.eye(2, dtype=np.float32)
    images = texts[[0, 0, 1]]
    assert measure_pair_recall(images, texts, np.array([0, 0, 1])).first == 1.0
    tied = measure_pair_recall(np.ones((3, 2), dtype=np.float32), texts, np.array([0, 0, 1]))
    assert (tied.image_to_text[0], tied.text_to_image[0]) == (0.0, 0.0)


def test_recall_is_the_same_in_blocks() -> None:
    images, texts = unit_rows(1, 50, 4).astype(np.float32), unit_rows(2, 20, 4).astype(np.float32)
    owners = np.concatenate([np.arange(20), np.random.default_rng(3).integers(0, 20, 30)])
    whole = measure_pair_recall(images, texts, owners)
    assert measure_pair_recall(images, texts, owners, block=7) == whole
    assert 0 < whole.first < 1
