"""What a search sends, as text. tests/stack/search runs that text against a real database."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from weaviate.classes.config import DataType
from weaviate.classes.query import Filter, FilterReturn, GeoCoordinate

from clip_vectorizer.query import ImageSearch, Move, Query
from clip_vectorizer.query.explain import Explanation
from clip_vectorizer.query.explain.source_code import (
    SourceTree,
    filter_source,
    format_node,
    format_on_one_line,
    graphql_literal,
    where_object,
)
from clip_vectorizer.query.explain.source_code import python_literal as python_literal
from tests.query.fakes import INFO, TARGET, FakeImages, FakeSidecar
from tests.query.zeroshot_fakes import stores

TYPES = {"label": DataType.TEXT, "size": DataType.INT, "price": DataType.NUMBER, "taken_at": DataType.DATE}
DAY = datetime(2024, 5, 1, tzinfo=UTC)
ID = "774b786c-2bf2-516a-8fb2-67fc079ae3a4"
FILTERS = [
    (
        Filter.by_property("label").equal("a \"b\" 'c'"),
        '{path: ["label"], operator: Equal, valueText: "a \\"b\\" \'c\'"}',
    ),
    (Filter.by_property("size").greater_or_equal(5), '{path: ["size"], operator: GreaterThanEqual, valueInt: 5}'),
    (Filter.by_property("price").less_than(5), '{path: ["price"], operator: LessThan, valueNumber: 5}'),
    (
        Filter.by_property("taken_at").less_or_equal(DAY),
        '{path: ["taken_at"], operator: LessThanEqual, valueDate: "2024-05-01T00:00:00+00:00"}',
    ),
    (Filter.by_property("label").is_none(True), '{path: ["label"], operator: IsNull, valueBoolean: true}'),
    (Filter.by_property("label", length=True).equal(3), '{path: ["len(label)"], operator: Equal, valueInt: 3}'),
    (
        Filter.by_property("label").contains_any(["a", "b"]),
        '{path: ["label"], operator: ContainsAny, valueText: ["a", "b"]}',
    ),
    (
        ~Filter.by_property("label").like("a*"),
        '{operator: Not, operands: [{path: ["label"], operator: Like, valueText: "a*"}]}',
    ),
    (Filter.by_id().not_equal(ID), f'{{path: ["id"], operator: NotEqual, valueText: "{ID}"}}'),
]


def explain(what: object, **arguments: object) -> Explanation:
    return ImageSearch(INFO, FakeSidecar(), FakeImages(), stores).explain(what, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(("given_filter", "expected"), FILTERS)
def test_a_filter_is_written_as_graphql(given_filter: FilterReturn, expected: str) -> None:
    assert format_on_one_line(where_object(given_filter, TYPES, graphql_literal)) == expected


@pytest.mark.parametrize("given_filter", [each for each, _ in FILTERS])
def test_a_filter_is_written_as_the_python_that_builds_it(given_filter: FilterReturn) -> None:
    both = (given_filter & Filter.by_property("size").equal(1)) | Filter.by_property("price").not_equal(0.5)
    for each in (given_filter, both):
        source = format_on_one_line(filter_source(each, python_literal))
        made = eval(source, {"Filter": Filter, "datetime": datetime})
        assert format_on_one_line(filter_source(made, python_literal)) == source
        assert format_on_one_line(where_object(made, TYPES, graphql_literal)) == format_on_one_line(
            where_object(each, TYPES, graphql_literal)
        )


def test_a_geo_filter_is_written_with_its_import() -> None:
    near = Filter.by_property("location").within_geo_range(GeoCoordinate(latitude=1.5, longitude=2), 100)
    assert "GeoCoordinate(latitude=1.5, longitude=2.0), distance=100" in format_on_one_line(
        filter_source(near, python_literal)
    )
    assert "geoCoordinates: {latitude: 1.5, longitude: 2.0}, distance: {max: 100" in format_on_one_line(
        where_object(near, {}, graphql_literal)
    )


@given(
    st.text()
    | st.lists(st.floats(allow_nan=False, allow_infinity=False))
    | st.lists(st.text())
    | st.integers()
    | st.booleans()
)
def test_python_literals_evaluate_to_their_values(value: object) -> None:
    assert eval(format_on_one_line(python_literal(value))) == value


def test_a_vector_is_complete_in_the_code_and_short_in_print() -> None:
    explanation = explain(Query.vector(np.linspace(0.1, 1, INFO.dimension)) + Query.text("red"))
    assert "... 3 numbers" not in explanation.python
    long = replace(explanation, call=explanation.call.with_arguments(near_vector=[0.123456789] * 512))
    assert long.python.count("0.123456789") == str(long.graphql).count("0.123456789") == 512
    assert "[0.1235, 0.1235, 0.1235, ... 512 numbers]" in str(long)


def test_print_shows_the_steps_before_and_after_the_call() -> None:
    text = str(explain(Query.text("red") + Query.image(Image.new("RGB", (4, 3))), deduplicate=True))
    assert "# the sidecar embeds: 'red'" in text
    assert "# the sidecar embeds a PIL image of 4 x 3" in text
    assert "# the client then merges equal images, and fetches more until 10 differ" in text
    assert "# the client then drops the first 5 results" in str(explain("red", diversity=0.5, offset=5))


def test_graphql_has_no_diversity() -> None:
    explanation = explain("red", diversity=0.5)
    assert explanation.graphql is None and "# not possible in GraphQL" in str(explanation)


def test_tenant_and_consistency_level_are_in_the_code() -> None:
    images = FakeImages(target=replace(TARGET, tenant="anna", consistency_level="QUORUM"))
    explanation = ImageSearch(INFO, FakeSidecar(), images, stores).explain("red")
    assert '.with_tenant("anna").with_consistency_level(ConsistencyLevel.QUORUM)' in explanation.python
    assert 'tenant: "anna"' in str(explanation.graphql) and "QUORUM" in str(explanation.graphql)


def test_lines_are_at_most_80_wide_even_with_long_texts() -> None:
    explanation = explain("a very long text " * 9, move_to=Move("somewhere far away " * 5), filters=["label=x"] * 3)
    assert max(map(len, str(explanation).splitlines())) <= 80, str(explanation)
    assert "a very long text " * 8 in explanation.python


def test_a_long_node_has_one_item_per_line() -> None:
    tree = SourceTree("call(", ["a=1", SourceTree("b=[", ["1" * 9, "2" * 9], "]")], ")")
    assert format_node(tree, 80) == "call(a=1, b=[111111111, 222222222])"
    assert format_node(tree, 30) == "call(\n    a=1,\n    b=[111111111, 222222222],\n)"
    assert format_node(tree, 20).splitlines()[2:6] == ["    b=[", "        111111111,", "        222222222,", "    ],"]


def test_groups_are_explained_too() -> None:
    search = ImageSearch(INFO, FakeSidecar(), FakeImages(), stores)
    explanation = search.explain_groups("red", "label", per_group=2, groups=5, deduplicate=True)
    assert explanation.call.arguments["limit"] == 1_000
    assert 'GroupBy(prop="label", objects_per_group=2, number_of_groups=5)' in explanation.python
    assert 'groupBy: {path: ["label"], groups: 5, objectsPerGroup: 2}' in (explanation.graphql or "")
    assert "the client then merges equal images of a group" in str(explanation)
    assert search.explain_groups("red", alpha=0.5).graphql is None
