"""Captions of scenes by template, with the place of each noun phrase: grounding data for free.

>>> caption_things([Thing("cat", 1), Thing("hammer", 2)], "en", random.Random(0)).text
'a cat and two hammers'
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

NUMBERS_EN = ("", "", "two", "three", "four", "five", "six", "seven", "eight")
NUMBERS_ZH = ("", "", "两", "三", "四", "五", "六", "七", "八")
PATTERNS = {
    "en": ("{}", "a picture of {}", "there are {}", "{} on a plain ground"),
    "zh": ("{}", "图中有{}", "一张有{}的图片"),
}
JOINTS = {"en": (", ", " and "), "zh": ("\N{IDEOGRAPHIC COMMA}", "和")}  # between things; before the last one


@dataclass(frozen=True, slots=True)
class Thing:
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class CaptionSpan:
    """A noun phrase of a caption: characters `start` to `end`, and which of the things it means."""

    start: int
    end: int
    thing: int


@dataclass(frozen=True, slots=True)
class SceneCaption:
    text: str
    spans: tuple[CaptionSpan, ...]


def caption_things(things: Sequence[Thing], language: str, rng: random.Random) -> SceneCaption:
    """Return a caption that names all things, in the order given."""
    before, after = rng.choice(PATTERNS[language]).split("{}")
    text, spans = before, []
    for index, thing in enumerate(things):
        if index:
            text += JOINTS[language][index == len(things) - 1]
        phrase = name_things(thing, language)
        spans.append(CaptionSpan(len(text), len(text) + len(phrase), index))
        text += phrase
    return SceneCaption(text + after, tuple(spans))


def name_things(thing: Thing, language: str) -> str:
    """Return a noun phrase: `a cat`, `two cats`, `一只...` without a measure word: `一个猫`, `两个猫`."""
    if language == "zh":
        return f"{NUMBERS_ZH[thing.count]}个{thing.name}" if thing.count > 1 else thing.name
    if thing.count > 1:
        return f"{NUMBERS_EN[thing.count]} {pluralise(thing.name)}"
    return f"{'an' if thing.name[:1].lower() in 'aeio' else 'a'} {thing.name}"


def pluralise(name: str) -> str:
    """Return the regular plural of the last word.

    >>> [pluralise(name) for name in ("cat", "fox", "red cherry")]
    ['cats', 'foxes', 'red cherries']
    """
    if re.search(r"(s|x|z|ch|sh)$", name):
        return f"{name}es"
    return f"{name[:-1]}ies" if re.search(r"[^aeiou]y$", name) else f"{name}s"
