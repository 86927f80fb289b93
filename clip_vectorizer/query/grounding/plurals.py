"""The singular of an English phrase: a box has one thing in it, so "two pandas" is looked for as "panda"."""

from collections.abc import Sequence

from clip_vectorizer.query.grounding.english_phrases import words
from clip_vectorizer.query.prompts import HAN

IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "mice": "mouse", "geese": "goose",
    "teeth": "tooth", "feet": "foot", "oxen": "ox", "cacti": "cactus", "policemen": "policeman",
    "firemen": "fireman", "snowmen": "snowman", "quizzes": "quiz", "axes": "axe",
    # -ves of -f
    "leaves": "leaf", "knives": "knife", "wolves": "wolf", "loaves": "loaf", "shelves": "shelf", "calves": "calf",
    "scarves": "scarf", "wives": "wife", "hooves": "hoof", "halves": "half", "elves": "elf", "thieves": "thief",
    "dwarves": "dwarf", "bookshelves": "bookshelf",
    # -ses of -s; those of -us follow a rule
    "gases": "gas", "lenses": "lens", "irises": "iris", "ibises": "ibis", "mantises": "mantis", "trellises": "trellis",
    "atlases": "atlas", "canvases": "canvas", "rhinoceroses": "rhinoceros",
    # -uses of -use
    "fuses": "fuse", "muses": "muse", "excuses": "excuse", "ruses": "ruse",
    # -ies of -ie
    "movies": "movie", "cookies": "cookie", "pies": "pie", "ties": "tie", "zombies": "zombie", "selfies": "selfie",
    "brownies": "brownie", "hoodies": "hoodie", "smoothies": "smoothie", "magpies": "magpie", "neckties": "necktie",
    "budgies": "budgie", "collies": "collie", "genies": "genie", "pixies": "pixie",
    # -oes of -oe
    "canoes": "canoe", "toes": "toe", "tiptoes": "tiptoe", "hoes": "hoe", "oboes": "oboe", "does": "doe", "foes": "foe",
    # -ches of -che
    "moustaches": "moustache", "mustaches": "mustache", "quiches": "quiche", "avalanches": "avalanche",
    "headaches": "headache", "brioches": "brioche",
}  # fmt: skip
# One thing that has the form of several, or a thing that comes in pairs; and words that only end in s.
UNCHANGED = words(
    "glasses sunglasses eyeglasses scissors pants jeans shorts trousers tights leggings overalls binoculars headphones "
    "earphones goggles pliers tongs tweezers pajamas pyjamas clothes stairs fries noodles chips cards dice "
    "headquarters series species news mathematics physics gymnastics athletics barracks fireworks socks gloves "
    "chopsticks lens iris atlas canvas christmas pancreas texas always across rhinoceros "
    "biceps triceps cosmos chaos aries pisces customs briefs"
)
DRINKS = words("wine beer champagne cocktail martini water juice milk whisky whiskey shot pint drinking")
ADD_ES = ("ches", "shes", "sses", "xes", "zzes", "tzes", "oes")  # of words that end without the e
LEAST_LENGTH = 4  # "gas", "bus": too short to have an ending


def find_singular(phrase: str) -> str:
    """Return the phrase with its noun, the last word or the one before "of", in the singular.

    >>> find_singular("green bananas"), find_singular("slices of pizza"), find_singular("sunglasses")
    ('green banana', 'slice of pizza', 'sunglasses')
    """
    if HAN.search(phrase):
        return phrase
    head, of, rest = phrase.partition(" of ")
    *before, noun = head.split(" ")
    singular = "glass" if is_glass(before, noun, of) else find_singular_word(noun)
    return " ".join([*before, singular]) + of + rest


def is_glass(before: Sequence[str], noun: str, of: str) -> bool:
    """Whether glasses are for drinking: "wine glasses", "glasses of milk"; else they are worn, and one thing."""
    return noun.lower() == "glasses" and bool(of or (before and before[-1].lower() in DRINKS))


def find_singular_word(word: str) -> str:
    lower = word.lower()
    if lower in IRREGULAR:
        return IRREGULAR[lower]
    if lower in UNCHANGED or len(word) < LEAST_LENGTH or not lower.endswith("s") or lower.endswith(("ss", "us", "is")):
        return word
    if lower.endswith("ies"):
        return word[:-3] + "y"
    if lower.endswith("shoes"):  # snowshoes, horseshoes
        return word[:-1]
    if lower.endswith(ADD_ES) or is_plural_of_us(lower):
        return word[:-2]
    return word[:-1]


def is_plural_of_us(lower: str) -> bool:
    """Lotuses and viruses; not houses, blouses and clauses.

    >>> is_plural_of_us("buses"), is_plural_of_us("greenhouses")
    (True, False)
    """
    return lower.endswith("uses") and not lower.endswith(("ouses", "auses"))
