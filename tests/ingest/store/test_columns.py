import threading
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from weaviate.classes.config import DataType
from weaviate.classes.data import GeoCoordinate
from weaviate.exceptions import WeaviateInvalidInputError

from ingest.items import GeoPoint, MetadataValue, UnusableFile
from ingest.store.objects import CollectionProperties


class FakeConfig:
    """A collection's properties. `rival`: the type that another process gives the first one, just before."""

    def __init__(self, rival: DataType | None = None) -> None:
        self.types: dict[str, DataType] = {}
        self.requests = 0
        self._rival = rival

    def add_property(self, added: Any) -> None:
        self.requests += 1
        if self._rival:
            self.types[added.name] = self._rival
            raise WeaviateInvalidInputError("it exists already")
        self.types[added.name] = added.dataType

    def get(self) -> Any:
        return SimpleNamespace(
            properties=[SimpleNamespace(name=name, data_type=kind) for name, kind in self.types.items()]
        )


def columns(config: FakeConfig) -> CollectionProperties:
    return CollectionProperties(config, dict(config.types))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("red", DataType.TEXT),
        (3, DataType.INT),
        (2.5, DataType.NUMBER),
        (True, DataType.BOOL),
        (datetime(2020, 1, 2, tzinfo=UTC), DataType.DATE),
        (GeoPoint(1, 2), DataType.GEO_COORDINATES),
    ],
)
def test_the_first_value_of_a_column_makes_its_property(value: MetadataValue, kind: DataType) -> None:
    config = FakeConfig()
    columns(config).properties({"Shelf mark": value})
    assert config.types == {"shelf_mark": kind}


def test_a_property_is_made_once() -> None:
    config = FakeConfig()
    both = columns(config)
    threads = [threading.Thread(target=both.properties, args=({"n": number},)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert config.requests == 1


def test_values_become_what_weaviates_client_takes() -> None:
    taken = columns(FakeConfig()).properties({"at": GeoPoint(1.5, -2.5), "on": datetime(2020, 1, 2), "name": "x"})
    assert taken == {
        "at": GeoCoordinate(latitude=1.5, longitude=-2.5),
        "on": datetime(2020, 1, 2, tzinfo=UTC),
        "name": "x",
    }


def test_a_whole_number_is_a_number_too_but_not_the_other_way_round() -> None:
    both = columns(FakeConfig())
    both.properties({"price": 2.5, "count": 1})
    assert both.properties({"price": 3}) == {"price": 3.0}
    with pytest.raises(UnusableFile, match="'count' is number here, but the property count holds int; give it another"):
        both.properties({"count": 1.5})


def test_a_value_of_another_type_is_refused_with_a_way_out() -> None:
    both = columns(FakeConfig())
    both.properties({"brand": "Ajax"})
    with pytest.raises(UnusableFile, match=r"--property brand=brand:text, or .* --property brand=my_brand"):
        both.properties({"brand": 4711})
    assert both.properties({"brand": "4711"}) == {"brand": "4711"}  # the next one is unharmed


def test_a_property_added_concurrently_with_another_type_is_respected() -> None:
    with pytest.raises(UnusableFile, match="the property n holds boolean"):
        columns(FakeConfig(rival=DataType.BOOL)).properties({"n": 1})


def test_a_column_called_like_one_of_ours_is_refused_and_metadata_of_ours_is_not() -> None:
    with pytest.raises(UnusableFile, match="--property label=my_label"):
        columns(FakeConfig()).properties({"label": "x"})
    config = FakeConfig()
    config.types["page"] = DataType.INT
    assert columns(config).properties({"page": 3}) == {"page": 3}


def test_two_columns_with_one_name_are_refused() -> None:
    with pytest.raises(UnusableFile, match="two of its columns are called my_brand"):
        columns(FakeConfig()).properties({"my brand": "x", "my-brand": "y"})
