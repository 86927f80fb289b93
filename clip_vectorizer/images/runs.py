"""Runs of ink along the rows of a picture: those at least so long, and what is in them.

H, W pixels
"""

import numpy as np
import numpy.typing as npt

InkMask = npt.NDArray[np.bool_]  # (H, W)


def find_runs(ink: InkMask, length: int) -> InkMask:
    """Return the pixels of ink that are in a run of `length` along their row; a run may climb by a pixel or two."""
    thick = ink.copy()
    thick[1:] |= ink[:-1]
    thick[:-1] |= ink[1:]
    if thick.shape[1] < length:
        return np.zeros_like(ink)
    return ink & dilate(erode(thick, length), length)


def erode(mask: InkMask, length: int) -> InkMask:
    """(H, W - length + 1): where a run of `length` begins. Runs are doubled, as sums would take ten times as long."""
    done = 1
    while done < length:
        step = min(done, length - done)
        mask = mask[:, :-step] & mask[:, step:]
        done += step
    return mask


def dilate(starts: InkMask, length: int) -> InkMask:
    """(H, W): what is in a run that begins in `starts`."""
    return ~erode(np.pad(~starts, ((0, 0), (length - 1, length - 1)), constant_values=True), length)


def open_rows(mask: InkMask, length: int) -> InkMask:
    """Return what is in a run of at least `length` along its row."""
    return np.zeros_like(mask) if mask.shape[1] < length else dilate(erode(mask, length), length)


def close_rows(mask: InkMask, gap: int) -> InkMask:
    """Return it with gaps of up to `gap` along the rows filled."""
    return ~open_rows(~mask, gap + 1)
