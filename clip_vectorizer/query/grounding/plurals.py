"""The singular of an English phrase: a box has one thing in it, so "two pandas" is looked for as "panda"."""

from clip_vectorizer.query.grounding.english_phrases import words
from clip_vectorizer.query.prompts import HAN

IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "kids": "kid", "mice": "mouse",
    "geese": "goose", "teeth": "tooth", "feet": "foot", "leaves": "leaf", "knives": "knife", "wolves": "wolf",
    "loaves": "loaf", "shelves": "shelf", "calves": "calf", "scarves": "scarf", "wives": "wife", "hooves": "hoof",
    "oxen": "ox", "cacti": "cactus", "policemen": "policeman", "firemen": "fireman", "snowmen": "snowman",
    "buses": "bus", "gases": "gas", "lenses": "lens", "movies": "movie", "cookies": "cookie", "pies": "pie",
    "ties": "tie", "zombies": "zombie", "selfies": "selfie", "shoes": "shoe", "canoes": "canoe", "toes": "toe",
    "axes": "axe",
}  # fmt: skip
# One thing that has the form of several, or a thing that comes in pairs; and words that only end in s.
UNCHANGED = words(
    "glasses sunglasses eyeglasses scissors pants jeans shorts trousers tights leggings overalls binoculars headphones "
    "earphones goggles pliers tongs tweezers pajamas pyjamas clothes stairs fries noodles chips cards dice "
    "headquarters series species news mathematics physics gymnastics athletics barracks fireworks socks gloves "
    "chopsticks lens iris atlas canvas christmas pancreas texas always across"
)
SIBILANTS = ("ches", "shes", "sses", "xes", "zes")
LEAST_LENGTH = 4  # "gas", "bus": too short to have an ending


def find_singular(phrase: str) -> str:
    """Return the phrase with its noun, the last word or the one before "of", in the singular.

    >>> find_singular("green bananas"), find_singular("slices of pizza"), find_singular("sunglasses")
    ('green banana', 'slice of pizza', 'sunglasses')
    """
    if HAN.search(phrase):
        return phrase
    head, of, rest = phrase.partition(" of ")
    words = head.split(" ")
    return " ".join([*words[:-1], find_singular_word(words[-1])]) + of + rest


def find_singular_word(word: str) -> str:
    lower = word.lower()
    if lower in IRREGULAR:
        return IRREGULAR[lower]
    if lower in UNCHANGED or len(word) < LEAST_LENGTH or not lower.endswith("s") or lower.endswith(("ss", "us", "is")):
        return word
    if lower.endswith("ies"):
        return word[:-3] + "y"
    if lower.endswith(SIBILANTS) or lower.endswith(("toes", "roes", "goes")):
        return word[:-2]
    return word[:-1]
