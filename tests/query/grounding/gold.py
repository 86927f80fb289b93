"""Sentences as people type them, with the noun phrases that a user wants a box for in brackets.

Those of gold_en.txt and gold_zh.txt were written before the chunker; those of later_*.txt when it was done, to see what
it does to sentences it was not made with. The rules: a phrase is a noun with what describes it (colour, size, another
noun, an owner, "slice of"); no determiner, number, quantity word or measure word; no picture, time or side ("a photo
of", "at night", "to the left of"). What a sentence denies is a phrase too: its answer is "not in the picture".
"""

import re
from pathlib import Path

FOLDER = Path(__file__).parent
BRACKETED = re.compile(r"\[([^]]+)\]")

Span = tuple[int, int]


def read_gold(name: str) -> list[tuple[str, list[Span]]]:
    """The sentences of a file (`gold_en`) without brackets, and the spans of their phrases."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [split_brackets(line) for line in lines]


def split_brackets(line: str) -> tuple[str, list[Span]]:
    """The line without brackets, and the spans that were in brackets.

    >>> split_brackets("a [cat] and [dogs]")
    ('a cat and dogs', [(2, 5), (10, 14)])
    """
    # Each phrase is preceded by its own opening bracket and by both brackets of every earlier one.
    shifts = enumerate(BRACKETED.finditer(line))
    spans = [(found.start() - 2 * number, found.end() - 2 * (number + 1)) for number, found in shifts]
    return BRACKETED.sub(r"\1", line), spans
