"""Names of things joined to a caption, in English or Chinese.

>>> list_things(["cat", "apple", "cat"])
'two cats and an apple'
>>> list_things(["\u732b", "\u82f9\u679c"])
'\u732b\u548c\u82f9\u679c'
"""

import re
from collections import Counter
from collections.abc import Sequence

HAN = re.compile("[\u4e00-\u9fff]")
ARTICLE = re.compile("^(?:an?|the|one|two|some) ", re.IGNORECASE)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
CHINESE_NUMBERS = "\u96f6\u4e00\u4e24\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341"
JOINTS, CHINESE_JOINTS = (", ", " and "), ("\u3001", "\u548c")  # between things; before the last one


def list_things(names: Sequence[str]) -> str:
    """Return a phrase that names each thing once, with its count, in the order of their first occurrence."""
    chinese = any(map(HAN.search, names))
    count_thing = count_in_chinese if chinese else count_in_english
    phrases = [count_thing(name, count) for name, count in Counter(names).items()]
    return join_phrases(phrases, *(CHINESE_JOINTS if chinese else JOINTS))


def join_phrases(phrases: Sequence[str], between: str, last: str) -> str:
    *first, end = phrases or ("",)
    return f"{between.join(first)}{last if first else ''}{end}"


def count_in_chinese(name: str, count: int) -> str:
    if count == 1:
        return name
    return f"{CHINESE_NUMBERS[count] if count < len(CHINESE_NUMBERS) else count}\u4e2a{name}"


def count_in_english(name: str, count: int) -> str:
    """Return a name with its article or number; one that has an article keeps it.

    >>> count_in_english("hour", 1), count_in_english("the sun", 1), count_in_english("fox", 3)
    ('an hour', 'the sun', 'three foxes')
    """
    if count == 1:
        return name if ARTICLE.match(name) else f"{choose_article(name)} {name}"
    number = NUMBERS[count] if count < len(NUMBERS) else str(count)
    return f"{number} {make_plural(ARTICLE.sub('', name))}"


def choose_article(name: str) -> str:
    """Return a or an, by the first letters: exceptions are the few below."""
    first = name.lower()
    if first.startswith(("uni", "use", "usu", "euro", "ufo", "one")):
        return "a"
    return "an" if first.startswith(("a", "e", "i", "o", "u", "hour", "honest", "honour")) else "a"


def make_plural(name: str) -> str:
    """Return the regular plural of the last word.

    >>> [make_plural(each) for each in ("red cherry", "bus", "toy", "sheep")]
    ['red cherries', 'buses', 'toys', 'sheep']
    """
    if name.endswith(("sheep", "fish", "deer", "scissors", "glasses", "trousers")):
        return name
    if re.search(r"(?:s|x|z|ch|sh)$", name):
        return f"{name}es"
    return f"{name[:-1]}ies" if re.search(r"[^aeiou]y$", name) else f"{name}s"
