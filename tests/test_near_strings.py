import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.lookup import levenshtein
from clip_vectorizer.errors import InputError
from clip_vectorizer.near_strings import SimilarString, did_you_mean, similar_strings

# Of two letters and their like, so that there are many ties; emoji take two UTF-16 units, surrogates come from paths.
CLOSE = st.text("abé苹🍎\udc80", max_size=8)
ANY = st.text(st.characters(), max_size=12)


def by_definition(query: str, strings: list[str], k: int) -> list[SimilarString]:
    similar = [SimilarString(text, levenshtein(query, text), index) for index, text in enumerate(strings)]
    return sorted(similar, key=lambda each: (each.distance, each.index))[:k]


@given(query=CLOSE | ANY, strings=st.lists(CLOSE | ANY, max_size=40), k=st.integers(1, 50))
def test_the_k_nearest_are_those_of_the_definition_ties_by_place(query: str, strings: list[str], k: int) -> None:
    assert similar_strings(query, strings, k) == by_definition(query, strings, k)


@given(CLOSE, st.lists(CLOSE, max_size=60), st.integers(1, 12), st.integers(1, 7), st.integers(1, 3))
def test_how_the_strings_are_divided_into_blocks_changes_nothing(
    query: str, strings: list[str], k: int, block: int, threads: int
) -> None:
    assert similar_strings(query, strings, k, block=block, threads=threads) == by_definition(query, strings, k)


def test_more_than_there_are_is_all_of_them() -> None:
    assert [each.text for each in similar_strings("b", ["c", "bb", "b"], 100)] == ["b", "c", "bb"]


def test_no_strings_give_no_result() -> None:
    assert similar_strings("owl", []) == []


def test_letters_count_by_code_point_and_capitals_are_other_letters() -> None:
    found = similar_strings("🍎", ["🍏", "é", "É", "e\u0301"])  # the last one is two: e and its accent
    assert [each.distance for each in found] == [1, 1, 1, 2]


def test_a_distance_may_exceed_a_byte() -> None:
    assert similar_strings("a", ["b" * 70_000])[0].distance == 70_000


@pytest.mark.parametrize("k", [0, -1])
def test_fewer_than_one_string_is_refused(k: int) -> None:
    with pytest.raises(InputError, match=f"k={k}: expected at least 1"):
        similar_strings("owl", ["owl"], k)


@pytest.mark.parametrize(
    "typed, meant",
    [
        ("fruti", "fruit"),  # two letters changed places
        ("FRUIT", "fruit"),
        ("fruits", "fruit"),
        ("vegtables", "vegetables"),
        ("owk", "owl"),
        ("苹", "苹果"),
        ("STRASSE", "Straße"),
    ],
)
def test_a_misspelt_name_gives_the_nearest_one(typed: str, meant: str) -> None:
    assert did_you_mean(typed, ["bird", "fruit", "vegetables", "owl", "苹果", "Straße"]) == f"did you mean {meant}? "


@pytest.mark.parametrize("typed", ["car", "", "xylophone"])
def test_a_name_unlike_any_gives_no_suggestion(typed: str) -> None:
    assert did_you_mean(typed, ["bird", "fruit"]) == ""
    assert did_you_mean(typed, []) == ""


@pytest.mark.parametrize("names", [["rat", "Cat", "cat"], ["cat", "rat", "Cat"]])
def test_capitals_and_the_alphabet_decide_between_equally_near_names(names: list[str]) -> None:
    assert did_you_mean("bat", iter(names)) == "did you mean cat? "
    assert did_you_mean("Cut", iter(names)) == "did you mean Cat? "
