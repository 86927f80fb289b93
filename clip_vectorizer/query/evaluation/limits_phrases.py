"""The wordings of `clip-eval limits`: numbers, places and paraphrases, in English and in Chinese.

Every caption is a few wordings, whose vectors are averaged as in prompt ensembling, so that no result depends on one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clip_vectorizer.query.prompts import HAN

VOWELS = "aeiou"
IRREGULAR = {  # plurals; a noun that stays as it is appears as its own plural
    **{"goose": "geese", "mouse": "mice", "foot": "feet", "tooth": "teeth", "child": "children", "ox": "oxen"},
    **{"wolf": "wolves", "leaf": "leaves", "knife": "knives", "loaf": "loaves", "scarf": "scarves", "calf": "calves"},
    **{"potato": "potatoes", "tomato": "tomatoes", "mango": "mangoes", "tornado": "tornadoes", "hero": "heroes"},
    **{"mosquito": "mosquitoes", "volcano": "volcanoes", "sheep": "sheep", "fish": "fish", "aircraft": "aircraft"},
}
UNCOUNTABLE = frozenset(  # "three breads" is a sentence about kinds of bread
    [
        *("bacon", "beef", "bread", "butter", "cheese", "clothing", "cooking", "corn", "fire", "food", "fruit", "fur"),
        *(
            "garlic",
            "glass",
            "hair",
            "ice",
            "juice",
            "lightning",
            "meat",
            "milk",
            "music",
            "rain",
            "rice",
            "sake",
            "salt",
        ),
        *("sand", "smoke", "snow", "sugar", "water", "weather", "wind", "wood", "wool"),
    ]
)
NUMBER_WORDS = frozenset(
    ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "several", "many", "some"]
)
JOINING_WORDS = frozenset(
    [
        *("a", "an", "and", "at", "behind", "by", "for", "from", "in", "of", "on", "or", "over", "the", "to", "under"),
        *("with", "without"),
    ]
)
JOINING_CHARACTERS = frozenset("的和之有与在上下中")


@dataclass(frozen=True, slots=True)
class LimitPhrases:
    """What the captions of one language are made of. {} is a name, {a} and {b} are two."""

    language: str
    counts: tuple[str, ...]  # around "three cats"
    one: tuple[str, ...]  # around "one cat"
    places: dict[str, tuple[str, ...]]  # axis -> wordings of "{a} is first on it, {b} second"
    paraphrases: tuple[str, ...]  # of a caption that names what a picture shows
    digits: dict[str, tuple[str, tuple[str, ...]]]  # name of the wording -> template, and the names of 0 to 9

    def count(self, number: int, name: str) -> tuple[str, ...]:
        """The wordings for `number` things of that name.

        >>> PHRASES["en"].count(3, "cat")[1]
        'a picture of three cats'
        """
        templates = self.one if number == 1 else self.counts
        return tuple(template.replace("{}", self.count_words(number, name)) for template in templates)

    def count_words(self, number: int, name: str) -> str:
        if self.language == "zh":
            return f"{'一两三四五'[number - 1]}个{name}"
        word = ("one", "two", "three", "four", "five")[number - 1]
        return f"{word} {name if number == 1 else pluralize(name)}"

    def place(self, axis: str, first: str, second: str) -> tuple[str, ...]:
        """The wordings for `first` being left of, or above, `second`.

        >>> PHRASES["en"].place("left or right", "owl", "cat")[0]
        'an owl to the left of a cat'
        """
        names = {"{a}": self.name_one(first), "{b}": self.name_one(second)}
        return tuple(
            template.replace("{a}", names["{a}"]).replace("{b}", names["{b}"]) for template in self.places[axis]
        )

    def paraphrase(self, template: str, name: str) -> str:
        return template.replace("{}", self.name_one(name))

    def name_one(self, name: str) -> str:
        return name if self.language == "zh" else add_article(name)

    def is_countable(self, name: str) -> bool:
        """Whether `name` is short and names one thing, so that "three ..." makes sense."""
        if self.language == "zh":
            return bool(HAN.search(name)) and len(name) <= 6 and not set(name) & JOINING_CHARACTERS
        words = split_words(name)
        return (
            0 < len(words) <= 3
            and not set(words) & (NUMBER_WORDS | JOINING_WORDS)
            and not words[-1].endswith("s")  # "jeans" are one thing and "cherries" several
            and words[-1] not in UNCOUNTABLE
        )

    def key_words(self, name: str) -> frozenset[str]:
        """The words (in Chinese: characters) by which two names are look-alikes, in lower case.

        >>> sorted(PHRASES["en"].key_words("heart with arrow"))
        ['arrow', 'heart']
        """
        if self.language == "zh":
            return frozenset(character for character in name if HAN.match(character)) - JOINING_CHARACTERS
        return frozenset(split_words(name)) - JOINING_WORDS


def split_words(name: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", name.lower())


def add_article(name: str) -> str:
    """
    >>> add_article("owl"), add_article("cat"), add_article("french fries"), add_article("bread")
    ('an owl', 'a cat', 'french fries', 'bread')
    """
    words = split_words(name)
    if not words or (words[-1].endswith("s") and not words[-1].endswith("ss")) or words[-1] in UNCOUNTABLE:
        return name
    return f"{'an' if words[0][0] in VOWELS else 'a'} {name}"


def pluralize(name: str) -> str:
    """
    >>> pluralize("grey wolf"), pluralize("cherry"), pluralize("paint brush"), pluralize("bus stop")
    ('grey wolves', 'cherries', 'paint brushes', 'bus stops')
    """
    start, noun = re.fullmatch(r"(.*?)([^\W\d_]*)", name, re.DOTALL).groups()  # type: ignore[union-attr]  # always matches
    lower = noun.lower()
    if lower in IRREGULAR:
        return start + IRREGULAR[lower]
    if lower.endswith("y") and lower[-2:-1] not in VOWELS:
        return start + noun[:-1] + "ies"
    return start + noun + ("es" if lower.endswith(("s", "x", "z", "ch", "sh")) else "s")


LEFT_RIGHT, ABOVE_BELOW = "left or right", "above or below"
AXES = (LEFT_RIGHT, ABOVE_BELOW)
FIGURES: Sequence[str] = tuple("0123456789")

PHRASES = {
    "en": LimitPhrases(
        "en",
        counts=("{}", "a picture of {}", "there are {} in the picture"),
        one=("{}", "a picture of {}", "there is {} in the picture"),
        # In one of three the second name comes first: the order of the names alone helps no model.
        places={
            LEFT_RIGHT: ("{a} to the left of {b}", "{a} on the left and {b} on the right", "{b} to the right of {a}"),
            ABOVE_BELOW: ("{a} above {b}", "{a} at the top and {b} at the bottom", "{b} below {a}"),
        },
        paraphrases=(
            "{}",
            "a picture of {}",
            "an image of {}",
            "this is {}",
            "it is {}",
            "here is {}",
            "there is {} in the picture",
            "the picture shows {}",
            "what you see here is {}",
            "one can see {} here",
        ),
        digits={
            # The paper's own template for MNIST, from the prompts that its authors published.
            "figures": ('a photo of the number: "{}".', tuple(FIGURES)),
            "words": (
                "the number {}",
                ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            ),
        },
    ),
    "zh": LimitPhrases(
        "zh",
        counts=("{}", "一张有{}的图片", "图中有{}"),
        one=("{}", "一张有{}的图片", "图中有{}"),
        places={
            LEFT_RIGHT: ("{a}在{b}的左边", "左边是{a}，右边是{b}", "{b}在{a}的右边"),  # noqa: RUF001 - Chinese
            ABOVE_BELOW: ("{a}在{b}的上面", "上面是{a}，下面是{b}", "{b}在{a}的下面"),  # noqa: RUF001 - Chinese
        },
        paraphrases=(
            "{}",
            "一张{}的图片",
            "一幅{}的图像",
            "这是{}",
            "图中有{}",
            "图片里是{}",
            "画面上是{}",
            "这张图展示了{}",
            "这里可以看到{}",
            "图里的东西是{}",
        ),
        digits={"figures": ("数字{}", tuple(FIGURES)), "words": ("数字{}", tuple("零一二三四五六七八九"))},
    ),
}
