"""The nearest of a million strings by edit distance: how long it takes, and whether it is right.

Everything but making the strings counts. Ours stops comparing a string as soon as it cannot be among the nearest, on
all cores; theirs are rapidfuzz's own ways on the same strings: `cdist`, which compares all of them to the end, and
`extract`. What is found is held to a plain dynamic programme on a sample, and to `cdist` on all.
"""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist, extract

from benchmarks.common import Report, add_json_option, side_by_side
from clip_vectorizer.near_strings import similar_strings

CLAIM = "the 10 nearest of 1,000,000 strings by Levenshtein distance in < 1 s on two cores, exactly"
K = 10
SAMPLE = 300  # strings, for the plain dynamic programme
SYLLABLES = "ba ke lo mi tra sun an er port ing ly co de fu gra hi".split()  # noqa: SIM905 - easier to read
FoundStrings = list[tuple[int, int]]  # distance and index
LookupMethod = Callable[[str, Sequence[str]], FoundStrings]


@dataclass(frozen=True, slots=True)
class Strings:
    """One kind of strings, and the queries."""

    what: str
    strings: list[str]
    queries: list[str]


@click.command()
@click.option("--count", default=1_000_000, show_default=True, type=click.IntRange(SAMPLE))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@add_json_option
def main(count: int, rounds: int, json_file: Path | None) -> None:
    """Measure similar_strings against rapidfuzz's own ways.

    \b
    Example:
      python benchmarks/lookup.py --count 100000
    """
    report = Report(CLAIM)
    report.begin()
    for kind in make_kinds(count, random.Random(0)):
        check_results(kind, report)
        compare_methods(kind, rounds, report)
    report.write(json_file)


def make_kinds(count: int, chance: random.Random) -> list[Strings]:
    """Names, Chinese words, and captions of some 110 letters, which cost the most."""
    return [
        make_strings("names of 19 letters", [make_name(chance) for _ in range(count)]),
        make_strings("Chinese words of 7 letters", [make_chinese_name(chance) for _ in range(count)]),
        make_strings("captions of 110 letters", [make_caption(chance) for _ in range(count)]),
    ]


def make_strings(what: str, strings: list[str]) -> Strings:
    """Looked for are one of the strings with a letter changed, a part of another one, and what is like none."""
    one, other = strings[len(strings) // 2], strings[len(strings) // 3]
    return Strings(what, strings, [f"{one[:3]}#{one[4:]}", other[3:], "q" * 15])


def make_name(chance: random.Random) -> str:
    return " ".join("".join(chance.choices(SYLLABLES, k=chance.randint(1, 5))) for _ in range(chance.randint(1, 4)))


def make_chinese_name(chance: random.Random) -> str:
    return "".join(map(chr, chance.choices(range(0x4E00, 0x9FA6), k=chance.randint(2, 12))))


def make_caption(chance: random.Random) -> str:
    return " ".join("".join(chance.choices(SYLLABLES, k=2)) for _ in range(chance.randint(10, 24)))


def find_by_project(query: str, strings: Sequence[str]) -> FoundStrings:
    return [(each.distance, each.index) for each in similar_strings(query, strings, K)]


def find_by_cdist(query: str, strings: Sequence[str]) -> FoundStrings:
    distances_n = cdist([query], strings, scorer=Levenshtein.distance, dtype=np.int32, workers=-1)[0]
    order = np.argsort(distances_n, kind="stable")[:K]
    return list(zip(distances_n[order].tolist(), order.tolist(), strict=True))


def find_by_extract(query: str, strings: Sequence[str]) -> FoundStrings:
    """Its ties are in their order too."""
    found = extract(query, strings, scorer=Levenshtein.distance, limit=K)
    return [(int(distance), int(index)) for _, distance, index in found]


def find_by_definition(query: str, strings: Sequence[str]) -> FoundStrings:
    return sorted((levenshtein(query, text), index) for index, text in enumerate(strings))[:K]


def levenshtein(one: str, other: str) -> int:
    """Wagner and Fischer, 1974: a row of the table at a time."""
    row = list(range(len(other) + 1))
    for above, letter in enumerate(one):
        left = [above + 1]
        for index, opposite in enumerate(other):
            left.append(min(left[index] + 1, row[index + 1] + 1, row[index] + (letter != opposite)))
        row = left
    return row[-1]


def check_results(kind: Strings, report: Report) -> None:
    sample = kind.strings[:SAMPLE]
    for query in kind.queries:
        if not find_by_project(query, sample) == find_by_definition(query, sample):
            raise SystemExit(f"{kind.what}: differs from the definition for {query!r}")
        if not find_by_project(query, kind.strings) == find_by_cdist(query, kind.strings):
            raise SystemExit(f"{kind.what}: not what cdist finds for {query!r}")
    report.note(
        f"{kind.what}: equal to a plain dynamic programme on {SAMPLE} strings, and to cdist on {len(kind.strings):,}"
    )


def compare_methods(kind: Strings, rounds: int, report: Report) -> None:
    """In turns. A side's seconds are those of its slowest query, since that one is waited for."""
    mine: list[float] = []
    whole: list[float] = []
    extracted: list[float] = []
    for _ in range(rounds):
        for way, seconds in ((find_by_cdist, whole), (find_by_extract, extracted), (find_by_project, mine)):
            seconds.append(time_slowest(way, kind))
    target = "< 1; ours < 1 s"
    report.add(side_by_side(f"the slowest query, {kind.what}", "s", whole, mine, "rapidfuzz's cdist", target))
    report.add(side_by_side(f"the slowest query, {kind.what}", "s", extracted, mine, "rapidfuzz's extract", target))


def time_slowest(way: LookupMethod, kind: Strings) -> float:
    return max(time_call(way, query, kind.strings) for query in kind.queries)


def time_call(way: LookupMethod, query: str, strings: Sequence[str]) -> float:
    begun = time.perf_counter()
    way(query, strings)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
