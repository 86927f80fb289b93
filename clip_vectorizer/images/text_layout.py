"""How lines of text are set below each other: a signature of a block that has no rules, and how well two of them agree.

Words differ from page to page; how many lines there are, how far from each other and how long, is the form. The place
of the block is not part of it: without rules there is no frame to measure it from. No text is recognised.

H, W pixels · B bins from the bottom upwards · N layouts
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from clip_vectorizer.images.runs import InkMask, close_rows, open_rows

TEXT_BINS = 128  # along the height, of 5 of 640 pixels: a line of text takes two or three
LEVELS = 15  # of 4 bits
LAYOUT_BYTES = TEXT_BINS // 2
LETTER_GAP = 0.022  # between words, at most, as a share of the longer side
LEAST_LINE = 0.08  # length of a line of text
TALLEST = 0.035  # height of a line; what is taller is a part of the drawing
SHIFTS = 32  # bins, by which a block may be higher or lower on another page
SCALES = (1.0, 2**-0.5, 2**0.5)  # letters are equally large on A4 and A3: their share of a corner is not

Shares = npt.NDArray[np.float32]  # 0..1
TextLayout = npt.NDArray[np.float32]  # (B,): square roots of the share of the width that text takes, 0..1


def measure_text_layout(ink: InkMask, side: int) -> TextLayout:
    """Return the lines of text of a corner without its rules; `side` is its longer side in pixels."""
    bars = close_rows(ink, round(LETTER_GAP * side))
    tall = open_rows(np.ascontiguousarray(bars.T), round(TALLEST * side)).T
    bars = open_rows(bars & ~tall, round(LEAST_LINE * side))
    lengths = bars.sum(axis=1)[::-1]
    bins = np.arange(len(lengths)) * TEXT_BINS // side
    shares = np.bincount(bins, weights=lengths, minlength=TEXT_BINS)[:TEXT_BINS] / (side * side / TEXT_BINS)
    return np.sqrt(np.minimum(shares, 1.0)).astype(np.float32)


def pack_shares(shares: Shares) -> bytes:
    """Return four bits a value, in the order of memory."""
    levels = np.rint(LEVELS * shares).astype(np.uint8).ravel()
    return (levels[::2] << 4 | levels[1::2]).tobytes()


def unpack_shares(data: bytes) -> Shares:
    """Return what `pack_shares` wrote, as one row."""
    pairs = np.frombuffer(data, np.uint8)
    levels = np.stack([pairs >> 4, pairs & LEVELS], axis=1).astype(np.float32)
    return levels.ravel() / np.float32(LEVELS)


def compare_text_layouts(query: TextLayout, others: Sequence[TextLayout]) -> npt.NDArray[np.float32]:
    """(N,): 0..1, the largest correlation of two profiles over places and sizes; 0 where one has no text."""
    if not others:
        return np.zeros(0, dtype=np.float32)
    padded_nb = np.pad(normalise(np.stack(others)), ((0, 0), (SHIFTS, SHIFTS)))
    best_n = np.zeros(len(others), dtype=np.float32)
    places = np.arange(TEXT_BINS)
    for scale in SCALES:
        scaled = np.interp(places / scale, places, query, right=0.0)
        query_b = normalise(scaled[None].astype(np.float32))[0]
        for shift in range(2 * SHIFTS + 1):
            best_n = np.maximum(best_n, padded_nb[:, shift : shift + TEXT_BINS] @ query_b)
    return np.asarray(np.minimum(best_n, 1.0), dtype=np.float32)


def normalise(layouts_nb: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(N, B): without the mean, of length 1; zeros stay zeros."""
    flat = layouts_nb - layouts_nb.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6), dtype=np.float32)
