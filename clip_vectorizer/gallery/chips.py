"""The parts of a search as chips: each with links that remove it, and that change its weight.

A text has its weight in the search field, `horse + 2*stripes`; a picture is given twice to count twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from clip_vectorizer.errors import InputError
from clip_vectorizer.gallery.address import Address, make_path
from clip_vectorizer.query.cli.address_options import TEXT, UPLOAD
from clip_vectorizer.query.search.query import parse_weighted_texts
from clip_vectorizer.terminal import escape_line

STEP = 0.5  # of a text's weight
LARGEST_COUNT = 5  # times that a picture is in an address
OPPOSITE = {"like": "unlike", "unlike": "like"}
SIGNS = {"plus": 1.0, "minus": -1.0}
OTHERS = {"where": "only", "move-to": "towards", "move-away": "away from", "auto-limit": "jumps", "regions": "regions"}

WeightedTexts = list[tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Chip:
    """One part of a search. Links are "" where there is nothing to change."""

    kind: str  # text, sent, like, unlike, where, ...
    text: str
    remove: str
    sign: str = ""  # what stands before the text: +, -, "2 x", only
    more: str = ""  # link to the search with a larger weight
    less: str = ""
    picture: str = ""  # address of an upload's thumbnail


def build_chips(address: Address, uploads: Sequence[tuple[str, str]] = ()) -> list[Chip]:
    """`uploads`: key and name of each picture that was sent."""
    named = dict(uploads)
    pictures = [build_picture_chip(address, UPLOAD, key, named.get(key, "picture")) for key in unique(address, UPLOAD)]
    stored = [build_picture_chip(address, name, key, key) for name in OPPOSITE for key in unique(address, name)]
    others = [
        Chip(name, escape_line(value), make_path(address.without(name, value)), sign)
        for name, sign in OTHERS.items()
        for value in unique(address, name)
    ]
    return [*pictures, *stored, *build_text_chips(address), *others]


def unique(address: Address, name: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(address.all(name)))


def build_picture_chip(address: Address, name: str, key: str, text: str) -> Chip:
    count = address.all(name).count(key)
    weight = -count if name == "unlike" else count
    most_negative = 1 if name == UPLOAD else -LARGEST_COUNT  # a sent picture cannot be subtracted

    def link(weight: int) -> str:
        return make_path(weigh_picture(address, name, key, weight)) if most_negative <= weight <= LARGEST_COUNT else ""

    return Chip(
        "sent" if name == UPLOAD else name,
        escape_line(text),
        make_path(weigh_picture(address, name, key, 0)),
        format_sign(weight),
        link(weight + 1 or 1),
        link(weight - 1 or -1),
        f"/upload/{key.partition(':')[2]}" if name == UPLOAD else "",
    )


def weigh_picture(address: Address, name: str, key: str, weight: int) -> Address:
    """Return the search in which a picture counts `weight` times; 0 removes it.

    >>> str(weigh_picture(Address.parse("q=owl&like=a.png"), "like", "a.png", -2))
    'q=owl&unlike=a.png&unlike=a.png'
    """
    rest = address.without(name, key)
    rest = rest.without(OPPOSITE[name], key) if name in OPPOSITE else rest
    target = OPPOSITE[name] if (weight < 0 and name == "like") or (weight > 0 and name == "unlike") else name
    return Address((*rest.pairs, *[(target, key)] * abs(weight)))


def build_text_chips(address: Address) -> list[Chip]:
    """Chips of the texts. One text alone has none: it stands in the field, and its weight changes nothing."""
    given = [(sign, name, value) for name, sign in SIGNS.items() for value in unique(address, name)]
    texts = read_texts(address)
    if texts is None or (len(texts) + len(given) + len(address.uploads) < 2 and not has_stored(address)):
        texts = []
    own = [
        Chip(
            "text",
            escape_line(text),
            link_texts(address, replace_text(texts, place, None)),
            format_sign(weight),
            link_texts(address, replace_text(texts, place, step(weight, STEP))),
            link_texts(address, replace_text(texts, place, step(weight, -STEP))),
        )
        for place, (weight, text) in enumerate(texts)
    ]
    return [*own, *(build_given_chip(address, sign, name, value) for sign, name, value in given)]


def build_given_chip(address: Address, sign: float, name: str, value: str) -> Chip:
    """The chip of plus= or minus=. Another weight moves the text into the search field."""
    rest, texts = address.without(name, value), read_texts(address)

    def link(weight: float) -> str:
        moved = [*(texts or []), (weight, value)]
        return "" if texts is None or read_expression(format_texts(moved)) != moved else link_texts(rest, moved)

    return Chip(
        name, escape_line(value), make_path(rest), format_sign(sign), link(step(sign, STEP)), link(step(sign, -STEP))
    )


def has_stored(address: Address) -> bool:
    return any(address.all(name) for name in OPPOSITE)


def read_texts(address: Address) -> WeightedTexts | None:
    """Return the texts of the search field, None where it cannot be written again in the same way."""
    if address.one("plain"):
        return None
    return read_expression(address.text) if address.text else []


def read_expression(expression: str) -> WeightedTexts | None:
    try:
        texts = parse_weighted_texts(expression)
        return texts if parse_weighted_texts(format_texts(texts)) == texts else None
    except InputError:
        return None


def link_texts(address: Address, texts: WeightedTexts) -> str:
    return make_path(address.with_only(TEXT, *([format_texts(texts)] if texts else [])))


def replace_text(texts: WeightedTexts, place: int, weight: float | None) -> WeightedTexts:
    """`weight`: None removes the text."""
    changed = [] if weight is None else [(weight, texts[place][1])]
    return [*texts[:place], *changed, *texts[place + 1 :]]


def step(weight: float, by: float) -> float:
    """Return the next weight; 0 is left out, as it would be no part of the search.

    >>> step(0.5, -0.5), step(1, 0.5)
    (-0.5, 1.5)
    """
    return weight + by or by


def format_texts(texts: WeightedTexts) -> str:
    """Return the expression that `parse_weighted_texts` reads.

    >>> format_texts([(1, "horse"), (2, "stripes"), (-0.5, "fruit")])
    'horse + 2*stripes - 0.5*fruit'
    """
    words = [f"{'-' if weight < 0 else '+'} {format_factor(weight)}{text}" for weight, text in texts]
    return " ".join(words).removeprefix("+ ")


def format_factor(weight: float) -> str:
    return "" if abs(weight) == 1 else f"{abs(weight):g}*"


def format_sign(weight: float) -> str:
    """
    >>> format_sign(1), format_sign(-1), format_sign(2), format_sign(-0.5)
    ('+', '−', '2 ×', '− 0.5 ×')
    """  # noqa: RUF002
    sign = "−" if weight < 0 else ""  # noqa: RUF001
    return sign or "+" if abs(weight) == 1 else f"{sign} {abs(weight):g} ×".strip()  # noqa: RUF001
