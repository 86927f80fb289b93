"""The few shapes that a GPU gets to see: each is recorded once, and what is smaller is filled up to the next.

Powers of two: a batch is filled up by less than its own size, and 256 items need 9 recordings. No torch here.
"""

from collections.abc import Sequence

SHORTEST_TEXT = 16  # tokens; search queries and object names have 3 to 12, start and end included


def batch_buckets(max_batch: int) -> tuple[int, ...]:
    """1, 2, 4, ... and `max_batch` itself."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length()) if 1 << exponent < max_batch]
    return (*powers, max_batch)


def length_buckets(context: int, least: int = 0) -> tuple[int, ...]:
    """Tokens of a row: 16, 32, ... up to half of `context`, and `context`; `least` alone where rows are never shorter.

    For CLIP's 77 tokens: 16, 32, 77. Texts of 33 to 76 are rare, and each length costs a recording a batch size.
    """
    shorter = [SHORTEST_TEXT << step for step in range(8) if SHORTEST_TEXT << step <= context // 2]
    return (*(length for length in shorter if length >= least), max(context, least))


def smallest_holding(count: int, buckets: Sequence[int]) -> int:
    """The first of ascending `buckets` that is no smaller than `count`, else the last."""
    return next((bucket for bucket in buckets if bucket >= count), buckets[-1])
