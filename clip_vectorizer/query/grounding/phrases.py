"""Phrases of a question: what to look for in a picture, and where the sentence has it.

By the words of the closed classes (determiners, prepositions, auxiliaries, measure words, ...), which a language has
few of: what lies between them is a noun phrase. No parser and no word list of nouns, so new names work.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.grounding.chinese_phrases import find_chinese_spans
from clip_vectorizer.query.grounding.english_phrases import find_english_spans
from clip_vectorizer.query.grounding.spans import CHINESE_MARKS, Span, strip_span
from clip_vectorizer.query.prompts import HAN, normalize_text

MAX_SENTENCE_LENGTH = 10_000  # characters
MAX_PHRASES = 200  # of one question: seven prompts each make 1,400 texts for the model
SEPARATED = re.compile(r"(?:^|\s)\.(?=\s|$)")  # a full stop that stands alone, as in Grounding DINO's prompts
SHOWN_LENGTH = 60
EXAMPLE = '"a cat next to a red apple"'


@dataclass(frozen=True, slots=True)
class Phrase:
    """A noun phrase; `span` is its place in the sentence, in characters, None where it is not from there.

    >>> Phrase("cat", (2, 5)).text
    'cat'
    """

    text: str
    span: Span | None = None


def find_phrases(sentence: str) -> list[Phrase]:
    """Return the noun phrases of an English or Chinese sentence, in order, without determiners and numbers.

    Phrases that are separated by a full stop between spaces are returned as they are.

    >>> [(phrase.text, phrase.span) for phrase in find_phrases("two cats next to a red apple")]
    [('cats', (4, 8)), ('red apple', (19, 28))]
    >>> [phrase.text for phrase in find_phrases("red apple . the cat")]
    ['red apple', 'the cat']
    >>> [phrase.text for phrase in find_phrases("桌子上的红色的苹果")]
    ['桌子', '红色的苹果']

    Raises InputError: no phrase, more than MAX_PHRASES, or a sentence longer than MAX_SENTENCE_LENGTH.
    """
    check_sentence(sentence)
    spans = split_separated(sentence) if SEPARATED.search(sentence) else find_spans(sentence)
    if not spans:
        raise InputError(
            f"no noun phrase in {shorten(sentence)!r}; name things, such as {EXAMPLE}, "
            "or list them: --phrases cat,apple"
        )
    check_number(len(spans))
    return [Phrase(sentence[start:end], (start, end)) for start, end in spans]


def locate_phrases(texts: Iterable[str], sentence: str = "") -> list[Phrase]:
    """Return phrases that a caller lists, each with its first free place in the sentence, if it is there.

    >>> locate_phrases(["apple", "owl"], "an Apple")
    [Phrase(text='apple', span=(3, 8)), Phrase(text='owl', span=None)]

    Raises InputError: an empty phrase, none, more than MAX_PHRASES, one that is not a text.
    """
    if isinstance(texts, str):
        raise InputError(f"phrases is the text {shorten(texts)!r}; give a list of texts, for example [{texts[:20]!r}]")
    named = [normalize_text(text) for text in texts]
    check_length(sentence)
    if not named or not all(named):
        raise InputError("a phrase is empty; list things to look for, such as cat,red apple")
    check_number(len(named))
    taken: list[Span] = []
    return [locate_phrase(text, sentence, taken) for text in named]


def locate_phrase(text: str, sentence: str, taken: list[Span]) -> Phrase:
    """Append the place to `taken`, so that equal phrases get different ones."""
    for found in re.finditer(re.escape(text), sentence, re.IGNORECASE):
        if not any(found.start() < end and start < found.end() for start, end in taken):
            taken.append(found.span())
            return Phrase(text, found.span())
    return Phrase(text)


def find_spans(sentence: str) -> list[Span]:
    """Return the spans of the noun phrases; those of a sentence of one word are the word, whatever it is."""
    whole = strip_span(sentence, (0, len(sentence)), f".,;:!?\"'{CHINESE_MARKS}")
    if whole is None:
        return []
    if not HAN.search(sentence) and not re.search(r"[\s,;/]", sentence[slice(*whole)]):
        return [whole]
    return find_chinese_spans(sentence) if HAN.search(sentence) else find_english_spans(sentence)


def split_separated(sentence: str) -> list[Span]:
    """Return what stands between full stops, without the spaces around it."""
    ends = [(found.end() - 1, found.end()) for found in SEPARATED.finditer(sentence)]
    starts = [0, *(end for _, end in ends)]
    pieces = zip(starts, [*(start for start, _ in ends), len(sentence)], strict=True)
    return [span for piece in pieces if (span := strip_span(sentence, piece, "."))]


def check_sentence(sentence: str) -> None:
    """Raises InputError: not a text, empty, or longer than MAX_SENTENCE_LENGTH."""
    if not normalize_text(sentence):
        raise InputError(f"the sentence is empty; name what to look for, such as {EXAMPLE}")
    check_length(sentence)


def check_length(sentence: str) -> None:
    if len(sentence) > MAX_SENTENCE_LENGTH:
        raise InputError(
            f"the sentence has {len(sentence):,} characters, of {MAX_SENTENCE_LENGTH:,} at most; send it in parts"
        )


def check_number(count: int) -> None:
    if count > MAX_PHRASES:
        raise InputError(f"{count:,} phrases, of {MAX_PHRASES} at most in one question; send them in parts")


def shorten(text: str) -> str:
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}..."
