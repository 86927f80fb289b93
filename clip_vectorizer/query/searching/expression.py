"""`horse + 2*stripes - fruit`: texts with weights, as one types them."""

import re

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import plain
from clip_vectorizer.query.searching.asking import number

LARGEST_WEIGHT = 1e6  # past it, the other parts are lost in float32
SOMETHING = "say what the images should show, for example 'a red apple'"
SIGN = re.compile(r"(?:^| )([+-])(?= |$)")  # with spaces: c++ and x-ray are words
WEIGHTED = re.compile(r"(\S+?)\s*\*\s*(.*)")


def weighted_texts(words: str) -> list[tuple[float, str]]:
    """`horse + 2*stripes - fruit` -> [(1, horse), (2, stripes), (-1, fruit)]. Raises InputError."""
    whole = plain(words)
    if not whole:
        raise InputError(f"the query is empty; {SOMETHING}")
    first, *others = SIGN.split(whole)
    signed = [("+", first), *zip(others[::2], others[1::2], strict=True)]
    if not first and others:  # it begins with a sign
        signed = signed[1:]
    return [weighted(sign, part.strip(), whole) for sign, part in signed]


def weighted(sign: str, part: str, whole: str) -> tuple[float, str]:
    """One part of `whole`, `2*stripes`. A text may hold a * of its own: `M*A*S*H`."""
    if not part:
        raise InputError(f"{whole!r}: a text is missing beside + or -; {SOMETHING}")
    one = -1.0 if sign == "-" else 1.0
    parts = WEIGHTED.fullmatch(part)
    if parts and (weight := weight_of(parts[1])) is not None:
        if not parts[2]:
            raise InputError(f"{part!r}: a text is missing after the *; write 2*stripes")
        return one * weight, parts[2]
    if " * " in part:
        raise InputError(f"{part!r}: {part.split(' * ')[0]!r} is no weight; write a number, as in 2*stripes")
    return one, part


def weight_of(text: str) -> float | None:
    try:
        return checked_weight(float(text))
    except ValueError:
        return None


def checked_weight(weight: object) -> float:
    return number("weight", weight, -LARGEST_WEIGHT, LARGEST_WEIGHT)
