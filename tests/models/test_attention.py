"""The attention of short sequences against torch's own operator."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.models.attention import CACHED_SCORES, MAX_SCORES, make_mask, mix_values


def heads(items: int, count: int, tokens: int, width: int = 8) -> Tensor:
    return torch.randn(items, count, tokens, width, generator=torch.Generator().manual_seed(tokens))


def expected(query: Tensor, key: Tensor, value: Tensor, attended: Tensor | None) -> Tensor:
    mixed = F.scaled_dot_product_attention(query.float(), key.float(), value.float(), attended)
    return mixed.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("tokens", [1, 7, 50, 300, 600])
def test_it_computes_what_torch_computes(tokens: int) -> None:
    query, key, value = heads(3, 4, tokens), heads(3, 4, tokens) + 1, heads(3, 4, tokens) - 1
    torch.testing.assert_close(mix_values(query, key, value), expected(query, key, value, None))


def test_those_lengths_fit_into_the_caches_together_alone_and_not_at_all() -> None:
    assert 3 * 4 * 50**2 < CACHED_SCORES < 3 * 4 * 300**2 and 4 * 600**2 > MAX_SCORES > 4 * 300**2


@pytest.mark.parametrize("tokens", [5, 300])
def test_causal_attention_sees_no_later_token(tokens: int) -> None:
    query, key, value = heads(2, 4, tokens), heads(2, 4, tokens), heads(2, 4, tokens)
    attended = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    mixed = mix_values(query, key, value, make_mask(attended, torch.float32))
    torch.testing.assert_close(mixed, expected(query, key, value, attended))


def test_each_item_has_its_own_padding() -> None:
    query, key, value = heads(3, 2, 1), heads(3, 2, 5), heads(3, 2, 5)
    attended = torch.arange(5) < torch.tensor([[5], [1], [3]])
    mixed = mix_values(query, key, value, make_mask(attended[:, None, None], torch.float32))
    torch.testing.assert_close(mixed, expected(query, key, value, attended[:, None, None]))


def test_bf16_stays_bf16_and_near() -> None:
    query, key, value = (heads(2, 4, tokens).bfloat16() for tokens in (50, 50, 50))
    mixed = mix_values(query, key, value)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), expected(query, key, value, None), atol=0.03, rtol=0.03)
