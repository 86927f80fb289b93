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

EXISTING = {"label": ["fruit", "vegetables", ""], "camera": []}


def test_only_equal_values_of_properties_with_few_values_are_listed() -> None:
    filters = [
        "label=fruit|peas",
        "label=nuts",
        "label!=x",
        "label~f*",
        "path=a.png",
        "caption=owl",
        "size>1",
        "camera?",
    ]
    assert list_filter_values(filters, PROPERTIES) == {"label": ["fruit", "peas", "nuts"]}


@pytest.mark.parametrize("filters", [None, [], Filter.by_property("label").equal("x")])
def test_without_expressions_no_values_are_listed(filters: object) -> None:
    assert list_filter_values(filters, PROPERTIES) == {}  # type: ignore[arg-type]


def test_a_missing_value_near_an_existing_one_raises_with_it() -> None:
    with pytest.raises(InputError, match=r"^no image has the label 'fruti'; did you mean fruit\?$"):
        explain_empty({"label": ["fruti"]}, EXISTING)


def test_a_missing_value_is_explained_with_the_existing_ones() -> None:
    assert explain_empty({"label": ["owls"]}, EXISTING) == "no image has the label 'owls'; there are fruit, vegetables"


def test_the_most_frequent_of_many_values_are_named() -> None:
    many = [f"kind {number:02}" for number in range(50)]
    assert explain_empty({"label": ["owls"]}, {"label": many}).endswith("kind 08, kind 09, ...")


@pytest.mark.parametrize("values", [["fruit"], ["fruit", "vegetables"], [""]])
def test_values_that_images_have_need_no_explanation(values: list[str]) -> None:
    assert explain_empty({"label": values}, EXISTING) == ""


def test_a_property_without_values_needs_no_explanation() -> None:
    assert explain_empty({"camera": ["Nikon"]}, EXISTING) == ""


def test_values_are_read_from_weaviates_groups_unless_some_may_be_missing() -> None:
    assert group_by_arguments("label")["group_by"].prop == "label"
    groups = [SimpleNamespace(grouped_by=SimpleNamespace(value=f"v{index}")) for index in range(MAX_VALUES)]
    assert read_group_values(SimpleNamespace(groups=groups[:2])) == ["v0", "v1"]  # type: ignore[arg-type]
    assert read_group_values(SimpleNamespace(groups=groups)) == []  # type: ignore[arg-type]
