"""A device: batches in, one answer an item out.

N items · D dimensions
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from clip_vectorizer.errors import DeviceLost, EncoderFailed
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.server.device_thread import DeviceThread
from clip_vectorizer.server.lanes import KINDS, Kind
from clip_vectorizer.vectors import Vectors

Answer = Vectors | EncoderFailed  # one unit row (D,), or why there is none
Encode = Callable[[Any], Vectors]  # items in, (N, D) out


class Device:
    """A worker's side of a device. `kinds`: the items it takes, those whose turn it is first."""

    def __init__(self, encoder: Encoder, kinds: list[Kind], thread: DeviceThread, urgent: bool = False) -> None:
        self.kinds = kinds
        self._encode: dict[Kind, Encode] = {"text": encoder.encode_texts, "image": encoder.encode_images}
        self._thread, self._urgent = thread, urgent

    def took(self, kind: Kind) -> None:
        """The turn of all others comes first."""
        self.kinds.remove(kind)
        self.kinds.append(kind)

    async def encode(self, kind: Kind, items: Sequence[Any]) -> list[Answer]:
        """One answer an item. Raises whatever ended the pass for good: DeviceLost, SystemExit, ..."""
        job = self._thread.submit(partial(answers_or_end, self._encode[kind], items), self._urgent)
        answers, end = await asyncio.wrap_future(job)
        if end is not None:
            raise end
        return answers


def devices_of(encoder: Encoder) -> list[Device]:
    """The workers of one encoder, on one thread. On a CPU texts are let in between the layers of a pass over images."""
    thread = DeviceThread(encoder.info.device)
    if encoder.info.device != "cpu":
        return [Device(encoder, list(KINDS), thread)]
    return [Device(encoder, ["text"], thread, urgent=True), Device(encoder, ["image"], thread)]


def answers_or_end(encode: Encode, items: Sequence[Any]) -> tuple[list[Answer], BaseException | None]:
    """As values: asyncio would let a SystemExit of a thread end the event loop in the midst of things."""
    try:
        return answers_of(encode, items), None
    except SystemExit as error:
        return [], RuntimeError(f"SystemExit: {error}")
    except BaseException as error:
        return [], error


def answers_of(encode: Encode, items: Sequence[Any]) -> list[Answer]:
    """One answer an item: a batch that fails is tried again item by item. Raises DeviceLost alone."""
    try:
        return checked(encode(items), len(items))
    except DeviceLost:
        raise
    except Exception as error:  # the model may raise anything; the one thread that serves all must live on
        if len(items) == 1:
            return [EncoderFailed(f"the model failed: {error or type(error).__name__}")]
        return [answer for item in items for answer in answers_of(encode, [item])]


def checked(rows_nd: Vectors, count: int) -> list[Answer]:
    """The rows, an error in place of each that is not finite. Raises EncoderFailed unless there are `count`."""
    if rows_nd.shape[:1] != (count,):
        raise EncoderFailed(f"{len(rows_nd)} vectors for {count} items")
    return [row if np.isfinite(row).all() else EncoderFailed("the model gave NaN or infinity") for row in rows_nd]
