"""Random texts with all concepts that they fit: names in prompts, words written about them, and two words at once."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from clip_vectorizer.training.knowledge import GLOSS, LANGUAGES, NAME, ConceptText
from clip_vectorizer.training.templates import TEMPLATES

WORD_PATTERNS = {
    "en": (
        *("{}", "{}", "{}", "something to do with {}", "a kind of {}", "things about {}", "used for {}"),
        *("something to {}", "something that can {}", "it is {}", "something {}", "{} things", "related to {}"),
        "where there is {}",
    ),
    "zh": ("{}", "{}", "{}", "和{}有关的东西", "一种{}", "{}的东西", "用来{}", "会{}的", "有{}的地方", "关于{}"),
}
PAIR_PATTERNS = {
    "en": ("{} {}", "{}, {}", "{} and {}", "{} with {}", "{} in the {}", "{} for {}", "{} that has {}", "a {} of {}"),
    "zh": ("{}{}", "{}\N{FULLWIDTH COMMA}{}", "{}和{}", "{}的{}", "有{}的{}", "{}里的{}", "用来{}的{}"),
}
COMMAS = {"en": ", ", "zh": "\N{FULLWIDTH COMMA}"}
LONGEST_LIST = 3  # words beside the name


@dataclass(frozen=True, slots=True)
class OwnedText:
    """A text, and the indices of the concepts that it fits."""

    text: str
    owners: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DescribedConcept:
    """What is written about one concept in one language."""

    index: int
    language: str
    name: str
    words: tuple[ConceptText, ...]


class ConceptTexts:
    """Draws texts from what is known of the concepts; those in `without` never."""

    def __init__(self, knowledge: Sequence[Sequence[ConceptText]], without: Iterable[str]) -> None:
        self._without = {text.lower() for text in without}
        self._owners: dict[str, set[int]] = {}
        for concept, texts in enumerate(knowledge):
            for item in texts:
                self._owners.setdefault(item.text.lower(), set()).add(concept)
        self._described = [split_by_language(index, texts) for index, texts in enumerate(knowledge)]
        draws = (
            (0.18, self._draw_name),
            (0.12, self._draw_prompt),
            (0.1, self._draw_list),
            (0.25, self._draw_pair),
            (0.35, self._draw_word),
        )
        bounds = accumulate(share for share, _ in draws)
        self._draws: list[tuple[float, Callable[[DescribedConcept, random.Random], OwnedText]]]
        self._draws = [(bound, draw) for bound, (_, draw) in zip(bounds, draws, strict=True)]

    def draw(self, concept: int, rng: random.Random) -> OwnedText:
        """Return a text that fits `concept`."""
        while True:
            drawn = self._draw_any(concept, rng)
            if drawn.text.lower() not in self._without:
                return drawn

    def _draw_any(self, concept: int, rng: random.Random) -> OwnedText:
        described = self._described[concept][rng.choice(LANGUAGES)]
        share = rng.random()
        if not described.words:
            return self._draw_name(described, rng)
        draw = next(draw for bound, draw in self._draws if share < bound)
        return draw(described, rng)

    def _draw_name(self, described: DescribedConcept, rng: random.Random) -> OwnedText:
        return OwnedText(described.name, self._find(described.name))

    def _draw_prompt(self, described: DescribedConcept, rng: random.Random) -> OwnedText:
        template = rng.choice(TEMPLATES[described.language])
        return OwnedText(template.format(described.name), self._find(described.name))

    def _draw_list(self, described: DescribedConcept, rng: random.Random) -> OwnedText:
        """Return name and words in any order, which fit this concept only."""
        words = rng.sample(described.words, min(len(described.words), LONGEST_LIST))
        listed = [described.name, *(item.text for item in words if item.kind != GLOSS)]
        rng.shuffle(listed)
        return OwnedText(COMMAS[described.language].join(listed), (described.index,))

    def _draw_pair(self, described: DescribedConcept, rng: random.Random) -> OwnedText:
        """Return two words in a pattern, which fit the concepts that both fit."""
        if len(described.words) < 2:
            return self._draw_word(described, rng)
        first, second = (item.text for item in rng.sample(described.words, 2))
        text = rng.choice(PAIR_PATTERNS[described.language]).format(first, second)
        return OwnedText(text, tuple(set(self._find(first)) & set(self._find(second))))

    def _draw_word(self, described: DescribedConcept, rng: random.Random) -> OwnedText:
        item = rng.choice(described.words)
        pattern = "{}" if item.kind == GLOSS else rng.choice(WORD_PATTERNS[described.language])
        return OwnedText(pattern.format(item.text), self._find(item.text))

    def _find(self, text: str) -> tuple[int, ...]:
        return tuple(self._owners[text.lower()])


def split_by_language(index: int, texts: Sequence[ConceptText]) -> dict[str, DescribedConcept]:
    """Return language -> the texts of one concept."""
    described = {}
    for language in LANGUAGES:
        written = [item for item in texts if item.language == language]
        name = next(item.text for item in written if item.kind == NAME)
        described[language] = DescribedConcept(
            index, language, name, tuple(item for item in written if item.kind != NAME)
        )
    return described
