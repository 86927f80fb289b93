"""Random texts with all concepts that they fit: names in prompts, words that are written about them, and two at once."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clip_vectorizer.training.captions import TEMPLATES_EN, TEMPLATES_ZH
from clip_vectorizer.training.knowledge import GLOSS, NAME, ConceptText

NAME_SHARE, PROMPTED_SHARE, LISTED_SHARE, PAIR_SHARE = 0.18, 0.12, 0.1, 0.25  # the rest: one word or definition
WORD_PATTERNS = {
    "en": (
        *("{}", "{}", "{}", "something to do with {}", "a kind of {}", "things about {}", "used for {}", "something to {}"),
        *("something that can {}", "it is {}", "something {}", "{} things", "related to {}", "where there is {}"),
    ),
    "zh": ("{}", "{}", "{}", "和{}有关的东西", "一种{}", "{}的东西", "用来{}", "会{}的", "有{}的地方", "关于{}"),
}
PAIR_PATTERNS = {
    "en": ("{} {}", "{}, {}", "{} and {}", "{} with {}", "{} in the {}", "{} for {}", "{} that has {}", "a {} of {}"),
    "zh": ("{}{}", "{}，{}", "{}和{}", "{}的{}", "有{}的{}", "{}里的{}", "用来{}的{}"),
}


@dataclass(frozen=True, slots=True)
class OwnedText:
    """A text, and the indices of the concepts that it fits."""

    text: str
    owners: tuple[int, ...]


class ConceptTexts:
    """Draws texts from what is known of the concepts; those in `without` never."""

    def __init__(self, knowledge: Sequence[Sequence[ConceptText]], without: Iterable[str]) -> None:
        self._without = set(without)
        self._owners: dict[str, set[int]] = {}
        for concept, texts in enumerate(knowledge):
            for item in texts:
                self._owners.setdefault(item.text.lower(), set()).add(concept)
        self._texts = [split_by_language(texts) for texts in knowledge]

    def draw(self, concept: int, rng: random.Random) -> OwnedText:
        """Return a text that fits `concept`."""
        while True:
            drawn = self._draw_any(concept, rng)
            if drawn.text.lower() not in self._without:
                return drawn

    def _draw_any(self, concept: int, rng: random.Random) -> OwnedText:
        language = rng.choice(("en", "zh"))
        names, words = self._texts[concept][language]
        share = rng.random()
        if share < NAME_SHARE or not words:
            return OwnedText(names[0], self._find(names[0]))
        if share < NAME_SHARE + PROMPTED_SHARE:
            templates = TEMPLATES_EN if language == "en" else TEMPLATES_ZH
            return OwnedText(rng.choice(templates).format(names[0]), self._find(names[0]))
        if share < NAME_SHARE + PROMPTED_SHARE + LISTED_SHARE:
            listed = [names[0], *(item.text for item in rng.sample(words, min(len(words), 3)) if item.kind != GLOSS)]
            rng.shuffle(listed)
            return OwnedText((", " if language == "en" else "，").join(listed), (concept,))
        if share < NAME_SHARE + PROMPTED_SHARE + LISTED_SHARE + PAIR_SHARE and len(words) > 1:
            return self._pair(language, rng.sample(words, 2), rng)
        item = rng.choice(words)
        pattern = "{}" if item.kind == GLOSS else rng.choice(WORD_PATTERNS[language])
        return OwnedText(pattern.format(item.text), self._find(item.text))

    def _pair(self, language: str, words: Sequence[ConceptText], rng: random.Random) -> OwnedText:
        first, second = words
        text = rng.choice(PAIR_PATTERNS[language]).format(first.text, second.text)
        return OwnedText(text, tuple(set(self._find(first.text)) & set(self._find(second.text))))

    def _find(self, text: str) -> tuple[int, ...]:
        return tuple(self._owners[text.lower()])


def split_by_language(texts: Sequence[ConceptText]) -> dict[str, tuple[list[str], list[ConceptText]]]:
    """Return language -> names, and everything else."""
    return {
        language: (
            [item.text for item in texts if item.language == language and item.kind == NAME],
            [item for item in texts if item.language == language and item.kind != NAME],
        )
        for language in ("en", "zh")
    }
