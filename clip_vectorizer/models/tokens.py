"""Text to token ids, for the tokenizers that CLIP models use. Thread-safe."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from clip_vectorizer.models.encoder import PreparedText


class TextTokenizer(Protocol):
    def __call__(self, text: str) -> PreparedText: ...


class TrainedTokenizer:
    """A `tokenizer.json` trained by this project; needs no `transformers`."""

    def __init__(self, file: Path, context: int) -> None:
        self.context_length = context
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()  # the full length is needed for the warning
        self._tokenizer.no_padding()

    def __call__(self, text: str) -> PreparedText:
        return cut_to_context(self._tokenizer.encode(text).ids, self.context_length)


class ClipTokenizer:
    """open_clip's byte-pair tokenizer, as in OpenAI's CLIP. Its only state is a cache of complete values."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer, self._context = tokenizer, context

    def __call__(self, text: str) -> PreparedText:
        ends = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        return cut_to_context([ends[0], *self._tokenizer.encode(text), ends[1]], self._context)


class PaddedTokenizer:
    """Any other tokenizer of open_clip; keeps the padding, which the text tower may use.

    Rust tokenizers fail when two threads configure them at once ("Already borrowed"), hence the lock.
    """

    def __init__(self, tokenizer: Callable[[list[str]], Any], count: Callable[[str], int]) -> None:
        self._tokenizer, self._count = tokenizer, count
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the lock."""
        return PaddedTokenizer, (self._tokenizer, self._count)

    def __call__(self, text: str) -> PreparedText:
        with self._lock:
            row = self._tokenizer([text])[0].tolist()
            return PreparedText(tuple(row), self._count(text))


class FolderTokenizer:
    """A tokenizer of transformers, with the padding that it adds where `padded`: the text tower then reads it."""

    def __init__(self, tokenizer: Any, context: int, padded: bool) -> None:
        self.context_length = context
        self._tokenizer, self._padded = tokenizer, padded
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without the lock."""
        return FolderTokenizer, (self._tokenizer, self.context_length, self._padded)

    def __call__(self, text: str) -> PreparedText:
        with self._lock:
            full = self._tokenizer(text, verbose=False).input_ids  # verbose: it warns of texts past the context
            fits = len(full) <= self.context_length and not self._padded
            row = full if fits else self._cut(text)
        return PreparedText(tuple(row), len(full))

    def _cut(self, text: str) -> list[int]:
        padding = "max_length" if self._padded else False
        row: list[int] = self._tokenizer(
            text, padding=padding, truncation=True, max_length=self.context_length
        ).input_ids
        return row


def cut_to_context(ids: Sequence[int], context: int) -> PreparedText:
    """Cut to `context` tokens and keep the end token.

    >>> cut_to_context([1, 5, 6, 7, 2], 4)
    PreparedText(ids=(1, 5, 6, 2), full_length=5)
    """
    kept = ids if len(ids) <= context else [*ids[: context - 1], ids[-1]]
    return PreparedText(tuple(kept), len(ids))
