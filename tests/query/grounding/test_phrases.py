"""Noun phrases of sentences: spans against the gold, what a caller lists, and what is refused."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.grounding.phrases import MAX_PHRASES, Phrase, find_phrases, find_spans, locate_phrases
from tests.query.grounding.gold import Span, read_gold

LEAST_EXACT = {"gold_en": 0.9, "gold_zh": 0.9, "later_en": 0.9, "later_zh": 0.8}  # sentences with no wrong span


def list_spans(sentence: str) -> list[Span | None]:
    try:
        return [phrase.span for phrase in find_phrases(sentence)]
    except InputError:
        return []


def list_texts(sentence: str) -> list[str]:
    return [phrase.text for phrase in find_phrases(sentence)]


@pytest.mark.parametrize("name", LEAST_EXACT)
def test_most_sentences_have_exactly_the_spans_that_were_marked_by_hand(name: str) -> None:
    gold = read_gold(name)
    wrong = {sentence: list_texts(sentence) for sentence, spans in gold if list_spans(sentence) != spans}
    assert len(gold) == 30
    assert 1 - len(wrong) / len(gold) >= LEAST_EXACT[name], wrong


def test_a_full_stop_between_spaces_separates_phrases_that_stay_as_they_are() -> None:
    assert list_texts("the red cat . running fast . 苹果 .") == ["the red cat", "running fast", "苹果"]


def test_a_full_stop_at_the_end_of_a_sentence_separates_nothing() -> None:
    assert list_texts("a cat. a dog sleeps.") == ["cat", "dog"]


def test_one_word_is_a_phrase_whatever_it_is() -> None:
    assert [list_texts(word) for word in ("swimming", "red", "the?", "游泳", "红色")] == [
        ["swimming"],
        ["red"],
        ["the"],
        ["游泳"],
        ["红色"],
    ]


def test_english_verbs_end_a_phrase() -> None:
    assert list_texts("Two kids playing with a kite chase the dog behind the washing machine.") == [
        "kids",
        "kite",
        "dog",
        "washing machine",
    ]


def test_a_chinese_character_of_a_closed_class_may_be_part_of_a_noun() -> None:
    assert list_texts("穿和服的女人在上海坐飞机") == ["和服", "女人", "上海", "飞机"]


def test_a_sentence_may_mix_both_languages() -> None:
    assert list_texts("桌子上有iPhone和Hello Kitty的杯子") == ["桌子", "iPhone", "Hello Kitty", "杯子"]


@pytest.mark.parametrize("sentence", ["running very fast", "跑得很快", "look over there", "???"])
def test_a_sentence_without_a_noun_is_refused_with_the_way_out(sentence: str) -> None:
    with pytest.raises(InputError, match=r"no noun phrase in .* list them: --phrases cat,apple"):
        find_phrases(sentence)


def test_an_empty_sentence_is_refused() -> None:
    with pytest.raises(InputError, match="the sentence is empty; name what to look for"):
        find_phrases(" \n")


def test_ten_thousand_phrases_are_refused() -> None:
    with pytest.raises(InputError, match="10,000 phrases, of 200 at most in one question"):
        locate_phrases(["cat"] * 10_000)
    with pytest.raises(InputError, match="201 phrases"):
        find_phrases(", ".join(["cat"] * (MAX_PHRASES + 1)))


def test_a_sentence_of_100_kb_is_refused_at_once() -> None:
    start = time.perf_counter()
    with pytest.raises(InputError, match="has 100,000 characters, of 10,000 at most"):
        find_phrases("a cat and " * 10_000)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("text", ["a cat running " * 700, "穿着红色的衣服的人" * 1_100, "的" * 10_000, "x" * 10_000])
def test_the_longest_sentence_takes_less_than_a_second(text: str) -> None:
    start = time.perf_counter()
    find_spans(text)
    assert time.perf_counter() - start < 1


def test_listed_phrases_get_their_places_in_the_sentence() -> None:
    assert locate_phrases(["cat", "Cat", "owl"], "a cat, a cat") == [
        Phrase("cat", (2, 5)),
        Phrase("Cat", (9, 12)),
        Phrase("owl", None),
    ]


@pytest.mark.parametrize(
    ("phrases", "reason"),
    [
        ([], "a phrase is empty"),
        (["cat", " "], "a phrase is empty"),
        ("cat", "give a list of texts"),
        ([3], "is of the type int"),
        (["\udc80"], "not UTF-8"),
    ],
)
def test_listed_phrases_that_cannot_be_used_are_refused(phrases: object, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        locate_phrases(phrases)  # type: ignore[arg-type]


@given(st.text(st.sampled_from("a cat's running, the 猫和红色的狗在上 .?!\n\u2019'-"), max_size=40))
def test_spans_are_in_order_and_of_text(sentence: str) -> None:
    spans = find_spans(sentence)
    assert all(sentence[start:end].strip() == sentence[start:end] != "" for start, end in spans)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
