import numpy as np
import pytest

from clip_vectorizer.errors import InputError
from clip_vectorizer.query import Move
from clip_vectorizer.query.search.arguments import SearchArguments, SearchRequest


def test_nothing_asked_means_the_ten_best() -> None:
    question = SearchRequest()
    assert (question.limit, question.offset, question.fold, question.captions) == (10, 0, False, 0)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"limit": 0}, "limit 0: expected 1 to 10000"),
        ({"limit": 10_001}, "limit 10001: expected 1 to 10000"),
        ({"limit": 1.5}, "limit 1.5: expected"),
        ({"limit": True}, "limit True: expected"),
        ({"offset": -1}, "offset -1: expected 0 or more"),
        ({"offset": 9_995}, "offset 9995 and limit 10 ask for more than Weaviate's 10000 best"),
        ({"min_similarity": 1.5}, "min_similarity 1.5: expected a number, -1 to 1"),
        ({"diversity": -0.1}, "diversity -0.1: expected a number, 0 to 1"),
        ({"diversity": float("nan")}, "diversity nan"),
        ({"captions": "all"}, "captions 'all'"),
        ({"auto_limit": 0}, "auto_limit 0: expected 1 or more"),
        ({"move_to": "sea"}, "move_to 'sea': expected a Move"),
        ({"properties": None}, "properties None: expected names"),
        ({"properties": ["size", 5]}, "expected names of properties"),
        ({"move_to": Move("sea", 1.2)}, "force 1.2: towards a text it is 0 to 1"),
    ],
)
def test_what_no_search_can_be_asked_is_refused(asked: SearchArguments, said: str) -> None:
    with pytest.raises(InputError, match=said):
        SearchRequest(**asked)


@pytest.mark.parametrize(
    ("text", "force"), [("", 0.5), ("  ", 0.5), ("sea", -1), ("sea", 1e30), ("sea", float("inf")), ("sea", "much")]
)
def test_a_move_needs_a_text_and_a_force(text: str, force: float) -> None:
    with pytest.raises(InputError):
        Move(text, force)


def test_away_from_a_text_any_force_goes() -> None:
    assert SearchRequest(move_away=Move("sea", 3)).move_away == Move("sea", 3.0)


def test_one_property_may_stand_alone() -> None:
    assert SearchRequest(properties="size").properties == ("size",)
    assert SearchRequest(properties=["size", "mime"]).properties == ("size", "mime")


def test_an_argument_that_there_is_not_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="limt"):
        SearchRequest(limt=5)  # type: ignore[call-arg]


def test_numpys_whole_numbers_are_numbers() -> None:
    question = SearchRequest(limit=np.int64(3), offset=np.int32(2), auto_limit=np.uint8(1))  # type: ignore[arg-type]
    assert [type(each) for each in (question.limit, question.offset, question.auto_limit)] == [int, int, int]
