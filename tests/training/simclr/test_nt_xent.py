"""The loss against numpy, against lightly and by finite differences; the measures against what they are defined as."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from clip_vectorizer.training.simclr.nt_xent import measure_health, nt_xent

FIRST = [[1.0, 2.0, -1.0], [0.5, -0.5, 2.0], [-1.5, 0.25, 0.75], [3.0, 0.0, 1.0]]
SECOND = [[0.9, 2.2, -0.7], [0.1, -0.9, 1.5], [-1.0, 0.5, 0.5], [2.0, -0.5, 2.0]]


def pairs(seed: int, count: int, dimensions: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first, noise = (torch.randn(count, dimensions, generator=generator, dtype=torch.float64) for _ in range(2))
    return first, first + noise


def loss_by_numpy(first_bd: np.ndarray, second_bd: np.ndarray, temperature: float) -> float:
    """Equation 1 of the paper as it is written: a sum over k != i for each i."""
    views = np.concatenate([first_bd, second_bd])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    count, losses = len(first_bd), []
    for i in range(2 * count):
        partner = (i + count) % (2 * count)
        others = sum(np.exp(views[i] @ views[k] / temperature) for k in range(2 * count) if k != i)
        losses.append(-np.log(np.exp(views[i] @ views[partner] / temperature) / others))
    return float(np.mean(losses))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(2, 9), temperature=st.floats(0.1, 2))
def test_the_loss_is_that_of_the_papers_equation(seed: int, count: int, temperature: float) -> None:
    first, second = pairs(seed, count, 5)
    expected = loss_by_numpy(first.numpy(), second.numpy(), temperature)
    assert nt_xent(first, second, temperature).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("temperature", "loss"), [(0.2, 0.28349764409019435), (0.5, 0.749399996790606)])
def test_the_loss_is_that_of_lightly(temperature: float, loss: float) -> None:
    """Written down from NTXentLoss of lightly 1.6.0 in float64."""
    first, second = torch.tensor(FIRST, dtype=torch.float64), torch.tensor(SECOND, dtype=torch.float64)
    assert nt_xent(first, second, temperature).item() == pytest.approx(loss, abs=1e-12)


def test_the_gradient_is_that_of_finite_differences() -> None:
    first, second = (each.requires_grad_() for each in pairs(3, 4, 5))
    assert torch.autograd.gradcheck(lambda a, b: nt_xent(a, b, 0.3), (first, second), eps=1e-6, atol=1e-7)


def test_the_order_of_the_pages_and_the_length_of_the_rows_change_nothing() -> None:
    first, second = pairs(4, 6, 5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    whole = nt_xent(first, second, 0.2)
    torch.testing.assert_close(nt_xent(7 * second[order], 0.1 * first[order], 0.2), whole)


def test_a_low_temperature_is_no_overflow() -> None:
    first, second = pairs(5, 4, 5)
    assert torch.isfinite(nt_xent(first.float(), second.float(), 1e-3))


def test_the_measures_of_views_that_are_equal_and_far_from_others() -> None:
    rows = torch.eye(4)
    health = measure_health(rows, rows)
    assert (health.alignment, health.top1) == (0, 1)
    assert health.uniformity == pytest.approx(-4, abs=1e-6)  # all others at a squared distance of 2


def test_the_measures_of_collapsed_vectors() -> None:
    first, second = pairs(6, 50, 3)
    line = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    health = measure_health(line + 1e-3 * first, line + 1e-3 * (second - first))
    assert health.alignment < 1e-4 and health.uniformity > -1e-3
    assert health.top1 < 0.1


def test_top1_is_the_share_of_views_whose_nearest_view_is_of_the_same_page() -> None:
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    second = torch.tensor([[0.9, 0.1], [0.8, 0.2]])  # the last one is nearer to both views of the first page
    assert measure_health(first, second).top1 == 0.75
