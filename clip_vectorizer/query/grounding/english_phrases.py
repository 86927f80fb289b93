"""English noun phrases: runs of words between those of the closed classes, without the verbs at their ends.

A verb has no ending of its own, but its place gives it away: directly before a determiner, -ing or -ed after a noun,
or one of the verbs that captions are made of.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from clip_vectorizer.query.grounding.spans import Span

CURLY_APOSTROPHE = "\u2019"
TOKEN = re.compile(rf"[^\W_]+(?:['.&{CURLY_APOSTROPHE}-][^\W_]+)*|[^\w\s]")


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = words(
    "a an the this that these those my your his her its our their whose some any no every each either neither another "
    "other others all both half several many much few fewer more most less enough such what which one two three four "
    "five six seven eight nine ten eleven twelve dozen hundred thousand"
)
PREPOSITIONS = words(
    "about above across after against along alongside amid among amongst around as at atop before behind below beneath "
    "beside besides between beyond by despite down during except for from in inside into like minus near next of off "
    "on onto opposite out outside over past per plus than through throughout to toward towards under underneath "
    "until up upon versus via vs with within without"
)
BE = words("is are was were be been being am isn aren wasn weren s")
MODALS = words(
    "do does did don doesn didn has have had having haven hasn hadn can could will would shall should may might must "
    "couldn won wouldn shouldn mustn let lets want wants wanted need needs"
)
PRONOUNS = words(
    "i me you he him she it we us they them who whom myself yourself himself herself itself ourselves themselves "
    "something anything nothing everything someone anyone everyone somebody anybody everybody nobody none "
    "there here where when how why whatever whichever whoever else mine yours hers ours theirs"
)
CONJUNCTIONS = words(
    "and or but nor not n't so if because while whereas although though unless whether then also too only just even "
    "still already yet again now maybe perhaps please hi hello hey yes oh"
)
CLOSED = DETERMINERS | PREPOSITIONS | BE | MODALS | PRONOUNS | CONJUNCTIONS

ADVERBS = words("fast together away apart alone very quite rather really too well hard almost nearly right-side-up")
NOUNS_IN_LY = words(
    "family butterfly fly jelly belly lily bully ally dragonfly firefly holly teddy-bully monopoly assembly curly "
    "woolly silly ugly friendly lovely lonely elderly bubbly smelly wobbly hilly jolly doily dolly trolley potbelly"
)
# What a question begins with, and what it calls the picture.
REQUESTS = words(
    "find show locate detect spot identify highlight mark see give get look search count point tell describe "
    "draw box label ground select seek"
)
FRAMES = words(
    "picture pictures photo photos photograph photographs image images pic pics drawing drawings painting paintings "
    "illustration illustrations shot shots close-up closeup snapshot scene view sketch icon emoji"
)
SHOWS = ("of", "showing", "shows", "depicting", "containing")
PLACES = words(
    "left right top bottom front back side sides middle center centre corner corners edge foreground background end "
    "left-hand right-hand upper lower distance rear"
)
TIMES = words("night nighttime day daytime noon midnight morning afternoon evening dusk dawn sunset sunrise time")
ASPECTS = words("color colour shape size time age brand")  # "what color is the car?"
AMOUNTS = words("lot lots plenty couple number kind kinds type types sort sorts bit pair pairs dozens hundreds amount")
ADJECTIVES = words(
    "red orange yellow green blue purple violet pink brown black white gray grey golden silver beige turquoise cyan "
    "magenta big bigger biggest small smaller smallest large larger largest little tiny huge giant tall taller tallest "
    "short shorter shortest long longer longest wide narrow thin thick fat round square old older oldest young new "
    "bright dark light pale shiny soft fluffy furry dirty clean wet dry open closed empty full happy sad angry "
    "cute pretty beautiful ugly hot cold warm cool fresh ripe rotten wooden metal plastic curly striped spotted"
)
# Verbs of captions that are no usual nouns; of those that are ("watch", "drink") only -ing counts.
BASES = words(
    "eat hold wear carry sit chase throw catch push pull climb bring contain appear include lie sleep walk run jump "
    "swim ride kick hit sing hang lean drive follow hug read write look play stand bark cross drag lift touch "
    "wait smile talk sell buy cook wash dig bite lick"
)
FORMS = words(
    "sat stood lay laid held wore worn ate eaten ran caught threw thrown rode ridden flew flown drove driven hung made "
    "seen taken shown given says say said goes went gone comes came flies lies carries tries dries"
)
PLURALS = words("people men women children kids police mice geese sheep fish deer feet cattle")
NOUNS_IN_ING = words(
    "thing things king ring wing string spring building ceiling painting clothing wedding morning evening earring "
    "railing pudding sibling duckling dumpling seedling stocking icing lightning darling sling swing sting viking "
    "herring starling topping filling covering crossing drawing dressing wiring awning gosling bling landing awning"
)
NOUNS_IN_ED = words(
    "red bed seed weed shed sled reed feed speed breed creed steed deed bobsled flowerbed seabed moped hundred sacred "
    "linseed aniseed"
)
COMPOUNDS = re.compile(  # where -ing between a noun or an adjective and a noun is part of a name
    r"(washing|sewing|slot|vending|milking|mixing) machines?|dining (tables?|rooms?|chairs?)|sleeping bags?"
    r"|(cutting|ironing|skirting) boards?|swimming (pools?|suits?|trunks|goggles|caps?)|shopping (bags?|carts?|malls?)"
    r"|fishing (rods?|poles?|boats?|nets?)|parking (lots?|meters?|signs?)|frying pans?|baking (sheets?|trays?)"
    r"|boxing (gloves?|rings?)|running (shoes?|tracks?|shirts?)|walking (sticks?|canes?)|steering wheels?"
    r"|rocking (chairs?|horses?)|chewing gum|knitting needles?|watering cans?|racing (cars?|bikes?)|living rooms?"
    r"|waiting rooms?|wrapping paper|writing desks?|reading (lamps?|glasses)|hearing aids?|bowling (balls?|pins?)"
)
CANS = words("trash garbage watering tin soda beer spray milk oil paint")


@dataclass(frozen=True, slots=True)
class Token:
    text: str  # as it is in the sentence
    word: str  # in small letters, with a straight apostrophe
    span: Span
    is_open: bool  # not of a closed class, no punctuation

    @property
    def is_capitalized(self) -> bool:
        return self.text[:1].isupper()


@dataclass(frozen=True, slots=True)
class Run:
    """Words that follow each other, with the two tokens before them and the one after; "" at an end."""

    tokens: tuple[Token, ...]
    before: str
    earlier: str
    after: str

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(token.word for token in self.tokens)

    @property
    def span(self) -> Span:
        return self.tokens[0].span[0], self.tokens[-1].span[1]

    def part(self, start: int, end: int) -> "Run":
        """The tokens from `start` to before `end`, with their own neighbours."""
        around = (self.earlier, self.before, *self.words, self.after)
        return Run(self.tokens[start:end], around[start + 1], around[start], around[end + 2])


def find_english_spans(sentence: str) -> list[Span]:
    """Return the spans of the noun phrases, in order.

    >>> find_english_spans("the dog chases a ball")
    [(4, 7), (17, 21)]
    """
    tokens = read_tokens(sentence)
    runs = [part for run in split_runs(tokens) for part in split_verbs(run)]
    named = [run for run in runs if run.tokens and is_name(run)]
    return join_runs(named, tokens)


def read_tokens(sentence: str) -> list[Token]:
    tokens: list[Token] = []
    for found in TOKEN.finditer(sentence):
        word = found[0].lower().replace(CURLY_APOSTROPHE, "'")
        tokens.append(Token(found[0], word, found.span(), is_open_word(word, found[0], tokens)))
    following = [*(token.word for token in tokens[1:]), ""]
    return [place_name(token, after) for token, after in zip(tokens, following, strict=False)]


def is_open_word(word: str, text: str, earlier: list[Token]) -> bool:
    before = earlier[-1] if earlier else None
    if word in ("one", "ones"):  # "the blue one"
        return before is not None and before.is_open
    if word == "can" and before is not None:
        return before.word in CANS or before.word in DETERMINERS
    if word.isdecimal():  # "Boeing 747"
        return before is not None and before.is_open and before.is_capitalized
    if not any(letter.isalnum() for letter in word):
        return False
    return word not in CLOSED and not (is_contraction(word) and word.partition("'")[0] in CLOSED)


def is_contraction(word: str) -> bool:
    return "'" in word


def place_name(token: Token, after: str) -> Token:
    """ "left of the house" and "full of soup" name no thing of their own; "a cola can on a desk" does."""
    if token.word in PLACES | {"full"} and after == "of":
        return replace(token, is_open=False)
    is_tin = token.word == "can" and (after in PREPOSITIONS | CONJUNCTIONS or not after.isalnum())
    return replace(token, is_open=True) if is_tin else token


def split_runs(tokens: list[Token]) -> Iterator[Run]:
    padded = ["", "", *(token.word for token in tokens), ""]
    start = 0
    for index in range(len(tokens) + 1):
        if index < len(tokens) and tokens[index].is_open:
            continue
        if index > start:
            yield Run(tuple(tokens[start:index]), padded[start + 1], padded[start], padded[index + 2])
        start = index + 1


def split_verbs(run: Run) -> Iterator[Run]:
    """Yield what is left of a run between its verbs, without adverbs at the ends."""
    run, start = trim_adverbs(run), 0
    for index in range(len(run.tokens)):
        if is_verb(run, index):
            yield trim_adverbs(run.part(start, index))
            start = index + 1
    yield trim_predicate(trim_adverbs(run.part(start, len(run.tokens))))


def is_verb(run: Run, index: int) -> bool:
    word, is_last = run.words[index], index == len(run.words) - 1
    before = run.words[index - 1] if index else run.before
    after = run.after if is_last else run.words[index + 1]
    if index == 0 and word in REQUESTS and is_request(run):
        return True
    if is_last and is_before_determiner(run, after):
        return True
    if word.endswith("ing") and len(word) > 4 and word not in NOUNS_IN_ING:
        return is_participle(run, index, before, after)
    if word.endswith("ed") and word not in NOUNS_IN_ED and is_last:
        return index > 0 or run.before not in DETERMINERS
    return is_caption_verb(word, index, before)


def is_request(run: Run) -> bool:
    return run.before in ("", "you", "to", "please")


def is_before_determiner(run: Run, after: str) -> bool:
    """ "the dog chases a ball", "find my keys"; but "on the table a cat"."""
    if after not in DETERMINERS | PRONOUNS or after in (
        "that",
        "which",
        "who",
        "what",
        "whose",
        "where",
        "all",
        "both",
    ):
        return False
    return len(run.tokens) > 1 or run.before not in DETERMINERS | PREPOSITIONS | CONJUNCTIONS


def is_participle(run: Run, index: int, before: str, after: str) -> bool:
    """-ing: a verb after a noun ("a man riding horses") or alone, an adjective before one ("a sleeping cat")."""
    if (index and run.tokens[index].is_capitalized) or COMPOUNDS.fullmatch(f"{run.words[index]} {after}"):
        return False
    if index:
        return not is_modifier(before) or index == len(run.words) - 1
    if set(run.words[1:]) <= PLACES:  # alone, or "facing right"
        return run.before not in DETERMINERS
    return run.before in BE | PRONOUNS | {"by", "without", "for", "while", "that"} and run.earlier not in ("there",)


def is_modifier(word: str) -> bool:
    """Whether -ing after it describes a noun: "old growling dog", "slightly smiling face"."""
    return word in ADJECTIVES or is_adverb(word) or word.endswith("ing")


def is_caption_verb(word: str, index: int, before: str) -> bool:
    if word in FORMS:
        return index > 0 or before not in DETERMINERS
    if word in BASES:
        return before in MODALS | PRONOUNS | {"to", "that"} or (index > 0 and is_plural(before))
    is_third_person = word.endswith("s") and (word[:-1] in BASES or word.removesuffix("es") in BASES)
    return is_third_person and (index > 0 or before in PRONOUNS | {"that", "which"})


def is_plural(word: str) -> bool:
    return word in PLURALS or (word.endswith("s") and not word.endswith("ss"))


def trim_adverbs(run: Run) -> Run:
    end = len(run.words)
    while end and is_adverb(run.words[end - 1]):
        end -= 1
    return run.part(0, end)


def trim_predicate(run: Run) -> Run:
    """Without what a question says of a thing: "is the apple red?"."""
    end = len(run.words)
    while run.earlier in BE and end > 1 and run.words[end - 1] in ADJECTIVES:
        end -= 1
    return run.part(0, end)


def is_adverb(word: str) -> bool:
    return word in ADVERBS or (word.endswith("ly") and word not in NOUNS_IN_LY)


def is_name(run: Run) -> bool:
    """Whether the run names a thing: no place, no time, no picture, no adjective alone after "is"."""
    found, last = set(run.words), run.words[-1]
    if found <= PLACES or (run.before in BE and run.earlier not in ("", "there") and found <= ADJECTIVES):
        return False
    if found <= TIMES:
        return run.before not in PREPOSITIONS and run.earlier not in PREPOSITIONS
    if (last in AMOUNTS and run.after == "of") or (found <= ASPECTS and run.before in ("what", "which")):
        return False
    return not (last in FRAMES and (run.after in SHOWS or run.earlier in ("in", "from", "on", "inside", "this")))


def join_runs(runs: list[Run], tokens: list[Token]) -> list[Span]:
    """Join "slice" of "pizza", and "black" and "white cat"; not what has a determiner of its own."""
    spans: list[Span] = []
    gaps = {(left.span[1], right.span[0]) for left, right in pairwise(runs)}
    between = {gap: [token.word for token in tokens if gap[0] <= token.span[0] < gap[1]] for gap in gaps}
    for index, run in enumerate(runs):
        is_joined = index > 0 and is_link(runs[index - 1], between[runs[index - 1].span[1], run.span[0]])
        if is_joined:
            spans[-1] = (spans[-1][0], run.span[1])
        else:
            spans.append(run.span)
    return spans


def is_link(left: Run, between: list[str]) -> bool:
    if between == ["of"]:
        return True
    return set(left.words) <= ADJECTIVES and between in ([","], ["and"], [",", "and"])
