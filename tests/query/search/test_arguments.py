import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Move
from clip_vectorizer.query.search.arguments import SearchArguments, SearchRequest


def test_the_default_is_a_vector_search_for_the_ten_best() -> None:
    request = SearchRequest()
    assert (request.limit, request.offset, request.deduplicate, request.alpha, request.is_hybrid) == (
        10,
        0,
        False,
        1,
        False,
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"limit": 0}, "limit 0: expected 1 to 10000"),
        ({"limit": 10_001}, "limit 10001: expected 1 to 10000"),
        ({"limit": 1.5}, "limit 1.5: expected"),
        ({"limit": True}, "limit True: expected"),
        ({"offset": -1}, "offset -1: expected 0 or more"),
        ({"offset": 9_995}, "offset 9995 and limit 10 reach past Weaviate's 10000 best"),
        ({"min_similarity": 1.5}, "min_similarity 1.5: expected a number, -1 to 1"),
        ({"diversity": -0.1}, "diversity -0.1: expected a number, 0 to 1"),
        ({"diversity": float("nan")}, "diversity nan"),
        ({"alpha": "all"}, "alpha 'all'"),
        ({"alpha": 1.5}, "alpha 1.5: expected a number, 0 to 1"),
        ({"auto_limit": 0}, "auto_limit 0: expected 1 or more"),
        ({"move_to": "sea"}, "move_to 'sea': expected a Move"),
        ({"return_properties": None}, "return_properties None: expected names"),
        ({"return_properties": ["size", 5]}, "expected names of properties"),
        ({"move_to": Move("sea", 1.2)}, "force 1.2: towards a text it is 0 to 1"),
    ],
)
def test_bad_arguments_are_refused(arguments: SearchArguments, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        SearchRequest(**arguments)


@pytest.mark.parametrize(
    ("text", "force"), [("", 0.5), ("  ", 0.5), ("sea", -1), ("sea", 1e30), ("sea", float("inf")), ("sea", "much")]
)
def test_a_move_needs_a_text_and_a_force(text: str, force: float) -> None:
    with pytest.raises(InputError):
        Move(text, force)


def test_any_force_is_allowed_away_from_a_text() -> None:
    assert SearchRequest(move_away=Move("sea", 3)).move_away == Move("sea", 3.0)


def test_one_property_needs_no_list() -> None:
    assert SearchRequest(return_properties="size").return_properties == ("size",)
    assert SearchRequest(return_properties=["size", "mime"]).return_properties == ("size", "mime")


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="limt"):
        SearchRequest(limt=5)  # type: ignore[call-arg]


def test_numpy_integers_become_python_integers() -> None:
    request = SearchRequest(limit=np.int64(3), offset=np.int32(2), auto_limit=np.uint8(1))  # type: ignore[arg-type]
    assert [type(each) for each in (request.limit, request.offset, request.auto_limit)] == [int, int, int]
