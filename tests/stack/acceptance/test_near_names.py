"""Errors for unknown names suggest the nearest known one; strings near a string."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.stack.acceptance.in_process import Command, ran
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["--where", "labl=fruit"], "label"),
        (["--where", "label=friut"], "fruit"),
        (["--where", "brandd=Ajax"], "brand"),
        (["--group-by", "labels"], "label"),
        (["--property", "prise"], "price"),
    ],
    ids=str,
)
def test_the_error_for_an_unknown_name_suggests_the_nearest(clip_search: Command, words: list[str], near: str) -> None:
    refused = clip_search("a thing", *words, expect=2)
    assert f"did you mean {near}?" in refused.stderr
    assert refused.stdout == ""


def test_the_error_for_an_unknown_collection_suggests_the_nearest(stack: Stack, gallery: str) -> None:
    refused = ran(stack.env, "clip-search", "a thing", "--collection", gallery + "x", expect=2)
    assert f"did you mean {gallery}?" in refused.stderr


STRINGS = [
    "kitten",
    "sitting",
    "mitten",
    "smitten",
    "bitten",
    "Kitten",
    "köln",
    "ko\u0308ln",
    "koln",
    "猫",
    "狗",
    "熊猫",
]


@pytest.mark.parametrize("query", ["kitten", "ko\u0308ln", "köln", "猫", "xyz" * 5, "👩‍🔬"])
def test_similar_strings_have_the_least_edit_distance_and_ties_keep_their_order(
    stack: Stack, query: str, tmp_path: Path
) -> None:
    lines = tmp_path / "strings.txt"
    lines.write_text("\n".join(STRINGS) + "\n", encoding="utf-8")
    wanted = sorted(range(len(STRINGS)), key=lambda index: (edits(query, STRINGS[index]), index))
    for limit in (1, 5, 100):
        words = (query, "--similar-strings", lines, "--limit", limit, "--json")
        rows = ran(stack.env, "clip-search", *words).rows
        found = [(row["text"], row["distance"]) for row in rows]
        assert found == [(STRINGS[index], edits(query, STRINGS[index])) for index in wanted[:limit]]


def edits(one: str, other: str) -> int:
    """Return the Levenshtein distance in code points, by its definition."""
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        before, row = row, [index]
        for place, (left, above) in enumerate(pairwise(before)):
            row.append(min(row[-1] + 1, above + 1, left + (letter != other[place])))
    return row[-1]


def test_similar_strings_may_come_from_a_pipe_or_a_property(clip_search: Command) -> None:
    piped = clip_search("kiten", "--similar-strings", "-", "--limit", 1, "--json", stdin="\n".join(STRINGS)).rows
    assert [(row["text"], row["distance"]) for row in piped] == [("kitten", 1)]
    stored_values = clip_search("friut", "--similar-strings", "PROPERTY:label", "--limit", 2, "--json").rows
    assert next((row["text"], row["distance"]) for row in stored_values) == ("fruit", 2)
    assert len({row["text"] for row in stored_values}) == 2, "each value once"
