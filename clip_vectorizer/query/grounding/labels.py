"""Labels of boxes in a drawn picture: their colours, and where they are readable.

Colours of Okabe and Ito (2008), which people with any kind of colour blindness can tell apart. Each label has its
phrase's text as well, so no reader depends on the colour.
"""

from collections.abc import Iterator, Sequence

from clip_vectorizer.vectors import Box

COLOURS = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
DARK, LIGHT = "#000000", "#FFFFFF"
SHIFTS = 12  # how many places below each other are tried where all four at the box are taken

Size = tuple[float, float]


def choose_colour(index: int) -> str:
    """The colour of the phrase at `index`.

    >>> choose_colour(0), choose_colour(7)
    ('#E69F00', '#E69F00')
    """
    return COLOURS[index % len(COLOURS)]


def choose_ink(colour: str) -> str:
    """Black or white, whichever has the greater contrast on `colour` (WCAG 2.2, relative luminance).

    >>> choose_ink("#F0E442"), choose_ink("#0072B2")
    ('#000000', '#FFFFFF')
    """
    luminance = measure_luminance(colour)
    return DARK if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else LIGHT


def measure_luminance(colour: str) -> float:
    shares = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def place_labels(boxes: Sequence[Box], sizes: Sequence[Size], picture: Size) -> list[Box]:
    """A place for each label: at its box, inside the picture, on no other box and on no earlier label if possible.

    `boxes`, `sizes` and `picture` in pixels. A label that is larger than the picture begins at its left top corner.
    """
    placed: list[Box] = []
    for box, size in zip(boxes, sizes, strict=True):
        places = [keep_inside(corner, size, picture) for corner in list_corners(box, size)]
        free = [place for place in places if not any(overlap(place, other) for other in placed)]
        others = [other for other in boxes if other != box]
        apart = (place for place in free if not any(overlap(place, other) for other in others))
        placed.append(next(apart, (free or places)[0]))
    return placed


def list_corners(box: Box, size: Size) -> Iterator[Size]:
    """Left top corners for a label, the best first: above the box, below, inside at the top, at the bottom, lower."""
    left, top, right, bottom = box
    width, height = size
    yield from ((left, top - height), (left, bottom), (left, top), (left, bottom - height))
    yield from ((right - width, top - height), (right - width, bottom))
    for number in range(1, SHIFTS):
        yield from ((left, top + number * height), (left, top - (number + 1) * height))


def keep_inside(corner: Size, size: Size, picture: Size) -> Box:
    left, top = (
        max(0.0, min(start, whole - length)) for start, length, whole in zip(corner, size, picture, strict=True)
    )
    return left, top, left + size[0], top + size[1]


def overlap(first: Box, second: Box) -> bool:
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]
