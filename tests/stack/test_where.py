"""Filter expressions, near values and near strings against the real database: one collection with every type."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from weaviate import WeaviateClient
from weaviate.classes.config import DataType, Property
from weaviate.classes.query import Filter

from clip_vectorizer.database.collections import read_collection
from clip_vectorizer.database.connection import connect_weaviate
from clip_vectorizer.database.schema import VECTOR, image_id
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.suggestions import (
    explain_empty,
    group_by_arguments,
    list_filter_values,
    read_group_values,
)
from clip_vectorizer.query.filters.where import build_filter
from clip_vectorizer.query.property_values import list_property_values
from clip_vectorizer.vectors import Vectors
from ingest.choices import Keep
from ingest.items import Facts
from ingest.items import GeoPoint as Spot
from tests.stack.conftest import New, Run, fresh_collection
from tests.stack.storing import RED, Place, picture, vector_of
from tests.stack.support import NOWHERE, Stack

pytestmark = pytest.mark.stack

BERLIN, POTSDAM = Spot(52.52, 13.40), Spot(52.40, 13.06)  # 26 km apart
NEW_YEAR = datetime(2024, 1, 1, 12, 30, tzinfo=UTC)
APPLE = {"brand": "Ajax und Söhne", "price": 2.5, "stock": 7, "sold": True, "taken_at": NEW_YEAR, "location": BERLIN}
PEA = {"brand": "Zorn", "price": -3.0, "stock": 20, "sold": False, "location": POTSDAM, "camera": "Nikon D40"}
PEA |= {"taken_at": datetime(2024, 1, 31, 23, 59, 59, tzinfo=UTC)}
IMAGES = {
    "a.png": Facts("fruit", "A red apple, fresh", APPLE),
    "p.png": Facts("vegetables", "a green pea", PEA),
    "sub/l.png": Facts("Fruit", "", {"taken_at": datetime(2023, 12, 31, tzinfo=UTC)}),
    "sub/none.jpg": Facts("", "", {}),
}
A, P, L, NONE = IMAGES


@dataclass(frozen=True, slots=True)
class Filled:
    """The collection, queried directly through weaviate-client."""

    client: WeaviateClient
    url: str
    name: str

    @property
    def properties(self) -> Any:
        return read_collection(self.client, self.name).properties

    @property
    def images(self) -> Any:
        return self.client.collections.use(self.name)

    def find(self, *expressions: str) -> list[str]:
        filters = build_filter(list(expressions), self.properties)
        return sorted(row.properties["path"] for row in self.images.query.fetch_objects(filters=filters).objects)


@pytest.fixture(scope="module")
def filled(stack: Stack) -> Iterator[Filled]:
    for name in fresh_collection(stack):
        place, vector_d = Place(stack, name, Keep.NONE, embed_here=True), vector_of(stack, RED)
        with place.open() as store:
            assert store.put([picture(key, RED, vector_d, facts=facts) for key, facts in IMAGES.items()]) == {}
        with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client:
            add_lists(client.collections.use(name), vector_d)
            yield Filled(client, stack.weaviate_url, name)


def add_lists(images: Any, vector_d: Vectors) -> None:
    """Add properties that we never create, but users may."""
    for name, data_type in (("tags", DataType.TEXT_ARRAY), ("ratings", DataType.INT_ARRAY)):
        images.config.add_property(Property(name=name, data_type=data_type))
    lists = {"tags": ["red one", "round"], "ratings": [3, 5]}
    images.data.update(image_id(A), properties=lists, vector={VECTOR: vector_d.tolist()})


EXPECTED = {
    "label=fruit": [A],
    "label!=fruit": [P, L, NONE],
    "label=fruit|vegetables": [A, P],
    "label!=fruit|vegetables": [L, NONE],
    "label~?ruit": [A, L],
    'label=""': [NONE],
    "label?": [A, P, L],
    "!label?": [NONE],
    "path~sub/*": [L, NONE],
    "path~a*|*.jpg": [A, NONE],
    "path>=p": [P, L, NONE],
    "label<b": [L, NONE],
    "caption=fresh red": [A],
    "caption=the apple": [A],
    "caption!=apple": [P, L, NONE],
    "caption=red apple|pea": [A, P],
    "caption~app*": [A],
    "!caption?": [L, NONE],
    "brand=söhne": [A],
    "brand?": [A, P],
    'camera="Nikon D40"': [P],
    "!camera?": [A, L, NONE],
    "stock>=7": [A, P],
    "stock<20": [A],
    "stock=7|20": [A, P],
    "stock!=7": [P, L, NONE],
    "stock>1e1": [P],
    "!stock?": [L, NONE],
    "price<=-3": [P],
    "price>-3": [A],
    "price=2.5": [A],
    "price?": [A, P],
    "sold=true": [A],
    "sold=no": [P],
    "sold!=true": [P, L, NONE],
    "sold?": [A, P],
    "taken_at=2024": [A, P],
    "taken_at=2024-01": [A, P],
    "taken_at=2024-01-01": [A],
    "taken_at!=2024-01-01": [P, L, NONE],
    "taken_at<=2024-01-31": [A, P, L],
    "taken_at>2024-01-31": [],
    "taken_at<2024": [L],
    "taken_at>=2023-12-31": [A, P, L],
    "taken_at=2024-01-01T13:30+01:00": [A],
    "taken_at>2024-01-01T12:30": [P],
    "taken_at=2023|2024-01-01": [A, L],
    "!taken_at?": [NONE],
    "location<10km@52.5,13.4": [A],
    "location<=50km@52.5,13.4": [A, P],
    "location>10km@52.5,13.4": [P],
    "location?": [A, P],
    "!location?": [L, NONE],
    "tags=red": [A],
    "tags!=round|blue": [P, L, NONE],
    "tags~roun*": [A],
    "!tags?": [P, L, NONE],
    "ratings>4": [A],
    "ratings=4": [],
    "ratings?": [A],
}


@pytest.mark.parametrize("expression", EXPECTED)
def test_an_expression_matches_the_expected_images(filled: Filled, expression: str) -> None:
    assert filled.find(expression) == EXPECTED[expression]


def test_all_expressions_must_match(filled: Filled) -> None:
    assert filled.find("taken_at=2024", "price>0", "!camera?") == [A]


def test_weaviates_own_filters_and_no_filter_work(filled: Filled) -> None:
    own = build_filter(Filter.by_property("stock").greater_than(7), filled.properties)
    assert [row.properties["path"] for row in filled.images.query.fetch_objects(filters=own).objects] == [P]
    assert filled.find() == sorted(IMAGES)


@pytest.mark.parametrize("name", ["stamp", "facts", "fit", "image", "thumbnail"])
def test_a_property_without_an_index_raises_before_the_query(filled: Filled, name: str) -> None:
    with pytest.raises(InputError, match=f"{name} has no index to filter by"):
        filled.find(f"{name}=x")


def why_empty(filled: Filled, *filters: str) -> str:
    wanted = list_filter_values(filters, filled.properties)
    return explain_empty(
        wanted,
        {name: read_group_values(filled.images.aggregate.over_all(**group_by_arguments(name))) for name in wanted},
    )


def test_a_missing_value_near_an_existing_one_raises_with_it(filled: Filled) -> None:
    with pytest.raises(InputError, match=r"no image has the label 'vegtables'; did you mean vegetables\?"):
        why_empty(filled, "label=vegtables")
    with pytest.raises(InputError, match=r"no image has the camera 'nikon D40'; did you mean Nikon D40\?"):
        why_empty(filled, "stock>0", "camera=nikon D40")


def test_a_missing_value_is_explained_with_the_existing_ones(filled: Filled) -> None:
    assert why_empty(filled, "label=bird").startswith("no image has the label 'bird'; there are ")
    assert why_empty(filled, "label=fruit", "stock=20") == ""


def test_the_values_of_a_property_are_distinct(filled: Filled) -> None:
    def values(name: str) -> list[str]:
        return list_property_values(filled.client, filled.url, name, filled.name)

    assert values("label") == ["Fruit", "fruit", "vegetables"]
    assert values("tags") == ["red one", "round"]
    assert values("caption") == ["A red apple, fresh", "a green pea"]
    with pytest.raises(InputError, match=r"has no property lable; did you mean label\? those with texts are brand, "):
        values("lable")
    with pytest.raises(InputError, match="has no texts in stock; those with texts are brand, "):
        values("stock")
    with pytest.raises(InputError, match=f"did you mean {filled.name}[?]"):
        list_property_values(filled.client, filled.url, "label", f"{filled.name}x")


def test_the_values_of_a_tenant_are_of_its_own_images(new: New, stack: Stack) -> None:
    place = new(keep=Keep.NONE, embed_here=True, tenant="bob")
    with place.open() as store:
        store.put([picture("a.png", RED, vector_of(stack, RED), facts=Facts("fruit"))])
    with connect_weaviate(stack.weaviate_url, stack.grpc_port, stack.api_key) as client:
        assert list_property_values(client, stack.weaviate_url, "label", place.collection, "bob") == ["fruit"]
        with pytest.raises(InputError, match=r"no tenant bobb; did you mean bob\? it has bob"):
            list_property_values(client, stack.weaviate_url, "label", place.collection, "bobb")


def test_the_command_finds_near_values_of_a_property(filled: Filled, run: Run) -> None:
    where = ("--similar-strings", "PROPERTY:label", "--collection", filled.name, "--json")
    rows = run("clip-search", "frut", *where, "--limit", "2", env={"VECTORIZER_URL": NOWHERE}).rows
    assert rows == [{"text": "fruit", "distance": 1}, {"text": "Fruit", "distance": 2}]


def test_the_command_suggests_the_nearest_value(filled: Filled, run: Run) -> None:
    ran = run("clip-search", "apple", "--where", "label=fruti", "--collection", filled.name, expect=2)
    assert ran.stderr == "error: no image has the label 'fruti'; did you mean fruit?\n" and not ran.stdout
