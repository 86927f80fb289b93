"""The byte-pair tokenizer of OpenAI's CLIP, without open_clip, whose import takes seconds and 240 MB.

Byte-pair encoding: Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units"; of bytes as in
Radford et al. 2019. The merges are the file that open_clip contains.
"""

import gzip
import html
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import ftfy
import regex
from tokenizers.models import BPE

from clip_vectorizer.models.encoder import PreparedText
from clip_vectorizer.models.tokens import cut_to_context

MERGES_FILE = "bpe_simple_vocab_16e6.txt.gz"  # its first line is a heading, and it has more merges than CLIP uses
VOCABULARY = 49_408  # tokens
WORD_END = "</w>"
START, END = "<start_of_text>", "<end_of_text>"
BYTES = 256
VISIBLE = (*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1))
# What is read as one word, case apart: the names of both marks, endings of English verbs, letters, one digit, the rest.
WORDS = regex.compile(
    rf"{START}|{END}|'s|'t|'re|'ve|'m|'ll|'d|[\p{{L}}]+|[\p{{N}}]|[^\s\p{{L}}\p{{N}}]+", regex.IGNORECASE
)
MOST_WORDS_KEPT = 50_000


class BytePairTokenizer:
    """Text to the ids of OpenAI's CLIP. Thread-safe: its only state is a cache of complete values."""

    def __init__(self, context: int) -> None:
        self._context = context
        self._model, self._marks = load_merges()
        self._letters = list_byte_letters()
        self._kept: dict[str, tuple[int, ...]] = {}  # ids of words

    def __reduce__(self) -> tuple[type["BytePairTokenizer"], tuple[int]]:
        """Pickle without the vocabulary."""
        return BytePairTokenizer, (self._context,)

    def __call__(self, text: str) -> PreparedText:
        words = WORDS.findall(clean_text(text))
        ids = [number for word in words for number in self._encode_word(word)]
        return cut_to_context([self._marks[START], *ids, self._marks[END]], self._context)

    def _encode_word(self, word: str) -> tuple[int, ...]:
        if (ids := self._kept.get(word)) is None:
            ids = self._merge(word)
            if len(self._kept) < MOST_WORDS_KEPT:
                self._kept[word] = ids
        return ids

    def _merge(self, word: str) -> tuple[int, ...]:
        if word in self._marks:
            return (self._marks[word],)
        letters = "".join(self._letters[byte] for byte in word.encode("utf-8"))
        return tuple(token.id for token in self._model.tokenize(letters))


def clean_text(text: str) -> str:
    """Return small letters with single spaces; broken encodings and HTML entities are repaired first.

    >>> clean_text(" A  cat&amp;amp;dog ")
    'a cat&dog'
    """
    whole = html.unescape(html.unescape(ftfy.fix_text(text)))
    return " ".join(whole.split()).lower()


def list_byte_letters() -> list[str]:
    """Return for each byte the letter that stands for it: itself if it can be seen, else one from 256 on."""
    hidden = iter(range(BYTES, 2 * BYTES))
    return [chr(byte) if byte in VISIBLE else chr(next(hidden)) for byte in range(BYTES)]


@cache
def load_merges() -> tuple[BPE, dict[str, int]]:
    """Return the merges, and the ids of both marks."""
    letters = sorted(list_byte_letters())
    names = [*letters, *(letter + WORD_END for letter in letters)]
    merges = read_merges(VOCABULARY - len(names) - 2)
    names += [left + right for left, right in merges]
    ids = {name: number for number, name in enumerate(names)}
    model = BPE(ids, merges, continuing_subword_prefix="", end_of_word_suffix=WORD_END)
    return model, {START: VOCABULARY - 2, END: VOCABULARY - 1}


def read_merges(count: int) -> list[tuple[str, str]]:
    """Return the first merges of the file within open_clip, which is not imported."""
    spec = find_spec("open_clip")
    folders = spec.submodule_search_locations if spec else None
    if not folders:
        raise ModuleNotFoundError("open_clip_torch is not installed: pip install open_clip_torch")
    with gzip.open(Path(folders[0]) / MERGES_FILE, "rt", encoding="utf-8") as opened:
        lines = islice(opened, 1, count + 1)
        return [(left, right) for left, right in (line.split() for line in lines)]
