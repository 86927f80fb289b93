"""Text -> token ids, for the kinds of tokenizers that CLIP models come with. Safe from many threads."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from tokenizers import Tokenizer

from clip_vectorizer.models.encoder import PreparedText


class TextTokenizer(Protocol):
    def __call__(self, text: str) -> PreparedText: ...


class TrainedTokenizer:
    """A `tokenizer.json` that this project trained: nothing before it, no `transformers`."""

    def __init__(self, file: Path, context: int) -> None:
        self.context_length = context
        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_truncation()  # the full length is wanted, for the warning
        self._tokenizer.no_padding()

    def __call__(self, text: str) -> PreparedText:
        return cut_to_context(self._tokenizer.encode(text).ids, self.context_length)


class ClipTokenizer:
    """open_clip's byte-pair tokenizer, as OpenAI's CLIP has it. Its only state is a cache of whole values."""

    def __init__(self, tokenizer: Any, context: int) -> None:
        self._tokenizer, self._context = tokenizer, context

    def __call__(self, text: str) -> PreparedText:
        ends = self._tokenizer.sot_token_id, self._tokenizer.eot_token_id
        return cut_to_context([ends[0], *self._tokenizer.encode(text), ends[1]], self._context)


class PaddedTokenizer:
    """Any tokenizer of open_clip: rows keep their padding, for the towers behind may look at it.

    Rust tokenizers refuse to be set up by two threads at once ("Already borrowed"), hence the lock.
    """

    def __init__(self, tokenizer: Callable[[list[str]], Any], count: Callable[[str], int]) -> None:
        self._tokenizer, self._count = tokenizer, count
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to another process without its lock."""
        return PaddedTokenizer, (self._tokenizer, self._count)

    def __call__(self, text: str) -> PreparedText:
        with self._lock:
            row = self._tokenizer([text])[0].tolist()
            return PreparedText(tuple(row), self._count(text))


def cut_to_context(ids: Sequence[int], context: int) -> PreparedText:
    """Cut to `context` tokens, the last of which stays the end token."""
    kept = ids if len(ids) <= context else [*ids[: context - 1], ids[-1]]
    return PreparedText(tuple(kept), len(ids))
