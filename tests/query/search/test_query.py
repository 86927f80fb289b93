from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Query
from clip_vectorizer.query.search.query import (
    ImagePart,
    StoredPart,
    TextPart,
    VectorPart,
    blend,
    move_away_from,
    move_towards,
    to_query,
)
from clip_vectorizer.vectors import unit

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="*", exclude_categories=["Z", "C"]), min_size=1)
TEXTS = st.lists(WORDS.filter(lambda word: word not in "+-"), min_size=1, max_size=3).map(" ".join)


def list_weights(query: Query) -> list[tuple[float, object]]:
    return [(weight, part.text if isinstance(part, TextPart) else part) for weight, part in query.parts]


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("horse", [(1, "horse")]),
        ("horse + 2*stripes - fruit", [(1, "horse"), (2, "stripes"), (-1, "fruit")]),
        ("  a   red horse  +  0.5 * a big dog ", [(1, "a red horse"), (0.5, "a big dog")]),
        ("- fruit + apple", [(-1, "fruit"), (1, "apple")]),
        ("a - -0.5*b", [(1, "a"), (0.5, "b")]),
        ("c++ x-ray M*A*S*H", [(1, "c++ x-ray M*A*S*H")]),
        ("红苹果 - 水果", [(1, "红苹果"), (-1, "水果")]),
    ],
)
def test_an_expression_is_parsed(typed: str, parts: list[tuple[float, str]]) -> None:
    assert list_weights(Query.parse(typed)) == parts


@pytest.mark.parametrize(
    "typed", ["", "  ", "+", "horse +", "- ", "a + - b", "a + + b", "many * dogs", "nan*a", "1e9*a", "2*", "2* + a"]
)
def test_an_incomplete_expression_is_refused(typed: str) -> None:
    with pytest.raises(InputError, match=r"missing|empty|weight"):
        Query.parse(typed)


@given(st.lists(st.tuples(st.floats(-9, 9).map(lambda weight: round(weight, 2)), TEXTS), min_size=1, max_size=4))
def test_any_texts_with_weights_are_parsed_back(parts: list[tuple[float, str]]) -> None:
    typed = " + ".join(f"{weight}*{words}" for weight, words in parts)
    assert list_weights(Query.parse(typed)) == parts


def test_operators_combine_texts_and_queries() -> None:
    what = Query.text("horse") + 2 * Query.text("stripes") - 0.5 * (Query.text("fruit") - "apple")
    assert list_weights(what) == [(1, "horse"), (2, "stripes"), (-0.5, "fruit"), (0.5, "apple")]
    assert list_weights("a" - Query.text("b")) == [(1, "a"), (-1, "b")]
    assert list_weights(-Query.text("a")) == [(-1, "a")]
    assert list_weights(np.float64(2) * Query.text("a")) == list_weights(Query.text("a") * np.float32(2)) == [(2, "a")]


def test_each_type_of_input_becomes_the_right_part() -> None:
    picture = Image.new("RGB", (2, 2))
    assert to_query("owl.png") == Query.text("owl.png")
    for shown in (Path("owl.png"), b"bytes", picture):
        assert to_query(shown).parts == ((1.0, ImagePart(shown)),)
    assert isinstance(to_query(np.ones(3)).parts[0][1], VectorPart)
    assert Query.stored("birds/owl.png").parts == ((1.0, StoredPart("birds/owl.png")),)
    assert Query.text(" a   red\nowl ") == Query.text("a red owl")


@pytest.mark.parametrize("weight", ["two", None, True, float("nan"), float("inf"), 1e7])
def test_a_weight_is_a_number(weight: object) -> None:
    with pytest.raises(InputError, match="expected a number"):
        weight * Query.text("owl")  # type: ignore[operator]


@pytest.mark.parametrize("values", [[0, 0], [1, float("nan")], [float("inf"), 1], ["a"], [[1], [1, 2]]])
def test_a_vector_without_a_direction_is_refused(values: object) -> None:
    with pytest.raises(InputError, match=r"no direction|row of numbers"):
        Query.vector(values)  # type: ignore[arg-type]


def test_inputs_of_the_wrong_type_and_empty_ones_are_refused() -> None:
    for make in (
        lambda: Query.text(5),
        lambda: Query.image(5),
        lambda: to_query(None),
        lambda: Query.stored(" "),
        lambda: Query.text(" "),
    ):  # type: ignore[arg-type]
        with pytest.raises(InputError):
            make()


def test_only_a_single_text_with_a_positive_weight_is_only_text() -> None:
    assert (3 * Query.text("owl")).only_text == "owl"
    assert (
        (-Query.text("owl")).only_text is (Query.text("owl") + "dog").only_text is Query.image(b"x").only_text is None
    )
    assert (Query.text("owl") + Query.image(b"x") - "dog" + "bird").keywords == "owl bird"


def test_a_blend_is_the_weighted_sum_of_unit_vectors() -> None:
    vectors_pd = np.array([[2, 0, 0], [0, 3, 0], [0, 0, 1]], dtype=np.float32)
    np.testing.assert_allclose(blend([1, 2, -2], vectors_pd), np.array([1, 2, -2]) / 3, atol=1e-6)


@given(st.floats(0.01, 100))
def test_only_the_ratio_of_weights_matters(factor: float) -> None:
    vectors_pd = unit(np.array([[1, 2, 0], [0, 3, 1]], dtype=np.float32))
    np.testing.assert_allclose(blend([factor, -factor], vectors_pd), blend([1, -1], vectors_pd), atol=1e-6)


@pytest.mark.parametrize("weights", [(1, -1), (0, 0), (1e-7, -1e-7), (0.3, -0.3)])
def test_parts_that_cancel_each_other_out_are_refused(weights: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="cancel each other out"):
        blend(weights, np.array([[0.6, 0.8], [0.6, 0.8]], dtype=np.float32))


def test_a_move_covers_at_most_half_the_way() -> None:
    here, there = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
    np.testing.assert_allclose(move_towards(here, there, 1), [0.5, 0.5])
    np.testing.assert_allclose(move_towards(here, there, 0.5), [0.75, 0.25])
    np.testing.assert_allclose(move_away_from(here, there, 1), [1.5, -0.5])
    np.testing.assert_allclose(move_away_from(here, there, 0), here)


def test_sum_works_on_queries() -> None:
    assert list_weights(sum([Query.text("a"), 2 * Query.text("b")])) == [(1, "a"), (2, "b")]  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [1e-300, 1e-37, 1, 1e37, 1e300])
def test_a_vector_of_any_length_keeps_its_direction(length: float) -> None:
    ((_, source),) = Query.vector(np.array([3.0, -4.0]) * length).parts
    assert isinstance(source, VectorPart) and np.allclose(unit(source.vector), [0.6, -0.8])


def test_a_complex_vector_is_refused() -> None:
    with pytest.raises(InputError, match="complex"):
        Query.vector(np.ones(3) * 1j)


def test_a_row_of_numbers_is_not_an_image() -> None:
    with pytest.raises(InputError, match=r"type list; numbers go into Query.vector"):
        to_query([0.1] * 500)  # type: ignore[arg-type]


def test_the_name_of_a_stored_image_is_text() -> None:
    with pytest.raises(InputError, match="UTF-8"):
        Query.stored("a\udc80.png")
