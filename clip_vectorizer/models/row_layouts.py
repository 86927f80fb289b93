"""Which rows of a batch are computed: no padding, and in texts that begin alike the common beginning once.

In a causal tower a token's row depends on the tokens before it alone. So all texts share the row of the start token,
and the prompts of a label set (`a photo of a ...`) all rows up to the label.

oneDNN compiles each product anew for each number of rows: 0.8 ms and 260 kB of code each time, for some nine products
of a tower. So a few rows are added, 1.5 % on average, and only some numbers of rows occur (benchmarks/row_counts.py).

B items · T tokens of the longest item · R rows · X any width
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.models.attention import make_mask

NO_ROW = -1  # before the first token
COUNTS_PER_OCTAVE = 16  # numbers of rows that occur between one power of two and the next


@dataclass(frozen=True, slots=True)
class RowLayout:
    """Where the tokens of a batch are among its rows.

    `places` (R,): a position in B * T of each row; `rows` (B * T,): the row of each token. Both are None where every
    token has a row of its own, in order. `read` (B or more,): the rows that become vectors: the end token of a text,
    the class token of an image; those after the first B are added ones. `attended` (B, T): False for padding; None
    where there is none.
    """

    items: int
    tokens: int
    places: Tensor | None
    rows: Tensor | None
    read: Tensor
    attended: Tensor | None
    causal: bool

    def spread(self, rows_rx: Tensor) -> Tensor:
        """Return (B, T, X). Padding holds some row: attention multiplies it by zero, so it must not be NaN."""
        if self.rows is not None:
            rows_rx = rows_rx.index_select(0, self.rows)
        return rows_rx.view(self.items, self.tokens, -1)

    def gather(self, spread_btx: Tensor) -> Tensor:
        """Return (R, X)."""
        spread = spread_btx.flatten(0, 1)
        return spread if self.places is None else spread.index_select(0, self.places)

    def extend(self, rows_bx: Tensor) -> Tensor:
        """Return as many rows as are read; the added ones are zeros."""
        return F.pad(rows_bx, (0, 0, 0, len(self.read) - len(rows_bx)))

    def mask(self, dtype: torch.dtype) -> Tensor | None:
        """Return what is added to the scores of all tokens, as `attention.mix_values` takes it."""
        if not self.causal:
            return self.padding_mask(dtype)
        return make_causal_mask(self.tokens, dtype)

    def padding_mask(self, dtype: torch.dtype) -> Tensor | None:
        """Return what is added to the scores of one token of each item, or of all where attention is not causal."""
        return None if self.attended is None else make_mask(self.attended[:, None, None], dtype)


@lru_cache(maxsize=256)
def make_causal_mask(tokens: int, dtype: torch.dtype) -> Tensor:
    """Return (T, T), where a token is seen by itself and those after it. It is shared: never write into it."""
    return make_mask(torch.ones(tokens, tokens, dtype=torch.bool).tril_(), dtype)


def layout_images(items: int, tokens: int) -> RowLayout:
    return RowLayout(items, tokens, None, None, torch.arange(items) * tokens, None, causal=False)


def layout_texts(ids_bt: Tensor) -> RowLayout:
    """Lay out each text up to its end token, which has the largest id. Later tokens are padding."""
    items, tokens = ids_bt.shape
    ends = ids_bt.argmax(1).tolist()
    places, rows, read = share_beginnings(ids_bt.tolist(), ends)
    attended_bt = None if min(ends) == tokens - 1 else torch.arange(tokens) <= torch.tensor(ends)[:, None]
    places += [0] * (round_up_rows(len(places)) - len(places))
    read += read[:1] * (round_up_rows(items) - items)
    if len(places) == items * tokens:
        return RowLayout(items, tokens, None, None, torch.tensor(read), None, causal=True)
    return RowLayout(
        items, tokens, torch.tensor(places), torch.tensor(rows), torch.tensor(read), attended_bt, causal=True
    )


def round_up_rows(count: int) -> int:
    """Return the next number of rows that occurs: `count` itself up to 31, and at most a sixteenth more above.

    >>> round_up_rows(31), round_up_rows(65), round_up_rows(1000)
    (31, 68, 1024)
    """
    step = max(1, (1 << count.bit_length() - 1) // COUNTS_PER_OCTAVE)
    return -(-count // step) * step


def share_beginnings(texts: Sequence[Sequence[int]], ends: Sequence[int]) -> tuple[list[int], list[int], list[int]]:
    """Return `places`, `rows` and `read` of a RowLayout: equal tokens after equal beginnings have one row.

    >>> share_beginnings([[7, 1, 9], [7, 1, 2]], [2, 1])
    ([0, 1, 2], [0, 1, 2, 0, 1, 0], [2, 1])
    """
    found: dict[tuple[int, int], int] = {}  # the row before and the token: the row of that token
    places: list[int] = []
    rows: list[int] = []
    read: list[int] = []
    for text, end in zip(texts, ends, strict=True):
        row = NO_ROW
        for token in text[: end + 1]:
            key = row, token
            row = found.setdefault(key, len(places))
            if row == len(places):
                places.append(len(rows))
            rows.append(row)
        read.append(row)
        rows += [0] * (len(text) - end - 1)
    return places, rows, read


def layout_attended(attended_bt: Tensor) -> RowLayout:
    """Lay out the attended tokens of texts whose tokens all see each other; the first of each text is read."""
    items, tokens = attended_bt.shape
    counts = attended_bt.sum(1)
    read = counts.cumsum(0) - counts
    if attended_bt.all():
        return RowLayout(items, tokens, None, None, read, None, causal=False)
    flat = attended_bt.flatten()
    rows = (flat.cumsum(0) - 1).where(flat, 0)
    places = flat.nonzero()[:, 0]
    places = F.pad(places, (0, round_up_rows(len(places)) - len(places)))
    return RowLayout(items, tokens, places, rows, read, attended_bt, causal=False)
