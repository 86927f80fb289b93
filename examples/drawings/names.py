"""Texts that never repeat: every organisation has syllables, people, number patterns and days of its own."""

from __future__ import annotations

import datetime
from random import Random

ONSETS = (
    "b",
    "br",
    "d",
    "dr",
    "f",
    "g",
    "gl",
    "h",
    "j",
    "k",
    "kl",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "w",
)
VOWELS = ("a", "e", "i", "o", "u", "ei", "au", "ia")
CODAS = ("", "l", "n", "r", "s", "t", "nd", "rk", "lm", "st")
FIRST_DAY = datetime.date(1994, 1, 3)
DAYS = 11_000
TEXT = (
    "the load of each bearing was taken from the test record and compared with the value that the maker gives "
    "for continuous use at forty degrees a second series of measurements followed after the housing had been "
    "opened cleaned and closed again where both differ by more than a tenth the smaller one is used it is "
    "therefore advisable to order spare seals in good time since delivery may take several weeks operators "
    "report that vibration falls when the belt is tightened in small steps this agrees with what the model "
    "predicts for a stiff frame on soft feet all figures are means of five runs unless the text says otherwise "
    "the method needs no special tools and can be repeated on site "
)
WORDS = TEXT.split()


def make_word(rng: Random, syllables: int = 2) -> str:
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables)) + rng.choice(CODAS)


def make_person(rng: Random) -> str:
    return f"{rng.choice('ABCDEFGHJKLMNPRSTUVW')}. {make_word(rng).capitalize()}"


def make_sentence(rng: Random) -> str:
    """Between 6 and 18 words, one of them made up, so that no two texts are the same."""
    start, length = rng.randrange(len(WORDS) - 20), rng.randint(6, 18)
    words = WORDS[start : start + length]
    words.insert(rng.randrange(1, length), make_word(rng))
    return " ".join(words).capitalize() + "."


def make_title(rng: Random) -> str:
    """Two to five words."""
    start = rng.randrange(len(WORDS) - 6)
    return " ".join([make_word(rng).capitalize(), *WORDS[start : start + rng.randint(1, 4)]])


def make_paragraph(rng: Random, sentences: int) -> str:
    return " ".join(make_sentence(rng) for _ in range(sentences))


def make_number(rng: Random, pattern: str) -> str:
    """`#` becomes a digit, `@` a capital letter.

    >>> make_number(Random(1), "AB-##")
    'AB-29'
    """
    fill = {"#": "0123456789", "@": "ABCDEFGHJKLMNPRSTUVWXYZ"}
    return "".join(rng.choice(fill[each]) if each in fill else each for each in pattern)


def make_date(rng: Random, share: int, shares: int) -> datetime.date:
    """A day that no other of the `shares` gets."""
    return FIRST_DAY + datetime.timedelta(days=share + shares * rng.randrange(DAYS // shares))
