"""Short captions, all different, as people type into a search box: 8 to 17 tokens, 14 in the mean."""

import math

PARTS = (
    ("", "a photo of", "a drawing of", "a close-up of", "an old picture of", "a painting of"),
    ("a red", "a blue", "a green", "a yellow", "a white", "a black", "a brown", "a golden", "a striped"),
    ("apple", "bicycle", "cat", "dog", "boat", "bridge", "teapot", "violin", "tractor", "chair", "steam engine"),
    ("and a horse", "and an umbrella", "and a lighthouse", "and a cathedral", "and a sunflower", "and a penguin"),
    ("", "on a table", "in the snow", "at the beach", "near a house", "by night", "in a field", "in the rain"),
)
COUNT = math.prod(map(len, PARTS))
STEP = 17_623  # shares no factor with COUNT, so none comes twice; neighbours differ in most words


def make_captions(count: int, first: int = 0) -> list[str]:
    """`count` captions from number `first` on. Raises ValueError past the COUNT that there are."""
    if first + count > COUNT:
        raise ValueError(f"{first + count} captions requested; there are {COUNT}: measure for fewer seconds or rounds")
    return [make_caption(number) for number in range(first, first + count)]


def make_caption(number: int) -> str:
    place, words = number * STEP % COUNT, []
    for choices in PARTS:
        place, chosen = divmod(place, len(choices))
        words.append(choices[chosen])
    return " ".join(filter(None, words))
