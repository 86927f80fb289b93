"""An encoder whose items choose its fault, so that one real process can fail in every way.

The mark identifies an item: the first bytes of a text (HashEncoder keeps 16), the colour of the corner of an image.
"""

import json
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from clip_vectorizer.errors import DeviceLost
from clip_vectorizer.models.encoder import PreparedText  # noqa: TID251 - the fake stands in the sidecar
from clip_vectorizer.vectors import Pixels, Vectors
from tests.fakes import HashEncoder, vectors_of

POISON = (255, 0, 255)  # the colour of a picture that no pass survives
BURNING_SIDE = 300  # of the square matrices multiplied to keep a core busy


class FaultyEncoder(HashEncoder):
    """Answers as HashEncoder does; marked items spoil the pass that they are in.

    Every pass is noted in `log` before it runs, as one JSON line: the marks of its items.
    """

    def __init__(self, log: Path, busy_seconds: float = 0) -> None:
        self._log = log
        self._busy_seconds = busy_seconds  # of one core, for each item
        self._failed: set[str] = set()

    def encode_texts(self, texts: Sequence[PreparedText]) -> Vectors:
        keys = [bytes(text.ids) for text in texts]
        return self._passed(keys, [key.decode(errors="replace") for key in keys])

    def encode_images(self, images: Sequence[Pixels]) -> Vectors:
        return self._passed([image.tobytes() for image in images], [mark_of(image) for image in images])

    def _passed(self, keys: Sequence[bytes], marks: Sequence[str]) -> Vectors:
        with self._log.open("a") as log:
            log.write(json.dumps(marks) + "\n")
        for mark in marks:
            self._misbehave(mark, len(marks))
        burn(self._busy_seconds * len(marks))
        return spoiled(vectors_of(keys), marks)

    def _misbehave(self, mark: str, size: int) -> None:
        word, _, rest = mark.partition(" ")
        acts: dict[str, Callable[[], object]] = {
            "poison": lambda: fail("a poisoned item"),
            "alone": lambda: fail("more than one item") if size > 1 else None,
            "once": lambda: self._fail_twice(mark),
            "sleep": lambda: time.sleep(float(rest.split()[0])),
            "hang": lambda: threading.Event().wait(),
            "kill": end_thread,
            "lost": lose_device,
        }
        acts.get(word, lambda: None)()

    def _fail_twice(self, mark: str) -> None:
        """As often as one request may try it: in company, and alone."""
        if f"{mark} again" not in self._failed:
            self._failed.add(f"{mark} again" if mark in self._failed else mark)
            fail("the first time")


def mark_of(image: Pixels) -> str:
    corner = tuple(int(part) for part in image.reshape(-1, 3)[0])
    return f"poison {corner}" if corner == POISON else f"image {corner}"


def spoiled(rows: Vectors, marks: Sequence[str]) -> Vectors:
    words = [mark.partition(" ")[0] for mark in marks]
    rows[[word == "nan" for word in words]] = np.nan
    few = "fewer" in words or ("few" in words and len(words) > 1)
    return rows[:-1] if few else rows


def fail(reason: str) -> None:
    raise ValueError(f"the test's encoder fails: {reason}")


def end_thread() -> None:
    raise SystemExit("the test's encoder ends its thread")


def lose_device() -> None:
    raise DeviceLost("the test's encoder has lost its device")


def burn(seconds: float) -> None:
    """Keeps one core busy as a model does: in compiled code that lets other threads run."""
    square = np.ones((BURNING_SIDE, BURNING_SIDE), dtype=np.float32)
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        square @ square
