from types import SimpleNamespace

import pytest
from weaviate.classes.query import Filter

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.suggestions import (
    MAX_VALUES,
    explain_empty,
    group_by_arguments,
    list_filter_values,
    read_group_values,
)
from tests.query.filters.test_where import PROPERTIES

HELD = {"label": ["fruit", "vegetables", ""], "camera": []}


def test_only_whole_values_of_properties_with_few_of_them_are_looked_for() -> None:
    where = ["label=fruit|peas", "label=nuts", "label!=x", "label~f*", "path=a.png", "caption=owl", "size>1", "camera?"]
    assert list_filter_values(where, PROPERTIES) == {"label": ["fruit", "peas", "nuts"]}


@pytest.mark.parametrize("where", [None, [], Filter.by_property("label").equal("x")])
def test_without_expressions_there_is_nothing_to_look_for(where: object) -> None:
    assert list_filter_values(where, PROPERTIES) == {}  # type: ignore[arg-type]


def test_a_value_that_no_image_has_is_answered_with_the_one_meant() -> None:
    with pytest.raises(InputError, match=r"^no image has the label 'fruti'; did you mean fruit\?$"):
        explain_empty({"label": ["fruti"]}, HELD)


def test_a_value_unlike_any_is_answered_with_those_there_are() -> None:
    assert explain_empty({"label": ["owls"]}, HELD) == "no image has the label 'owls'; there are fruit, vegetables"


def test_of_many_values_only_the_commonest_are_told() -> None:
    many = [f"kind {number:02}" for number in range(50)]
    assert explain_empty({"label": ["owls"]}, {"label": many}).endswith("kind 08, kind 09, ...")


@pytest.mark.parametrize("values", [["fruit"], ["fruit", "vegetables"], [""]])
def test_values_that_images_have_need_no_explanation(values: list[str]) -> None:
    assert explain_empty({"label": values}, HELD) == ""


def test_a_property_without_any_value_explains_nothing() -> None:
    assert explain_empty({"camera": ["Nikon"]}, HELD) == ""


def test_values_are_read_from_weaviates_groups_unless_there_are_too_many_to_know_all() -> None:
    assert group_by_arguments("label")["group_by"].prop == "label"
    groups = [SimpleNamespace(grouped_by=SimpleNamespace(value=f"v{index}")) for index in range(MAX_VALUES)]
    assert read_group_values(SimpleNamespace(groups=groups[:2])) == ["v0", "v1"]  # type: ignore[arg-type]
    assert read_group_values(SimpleNamespace(groups=groups)) == []  # type: ignore[arg-type]
