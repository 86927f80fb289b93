"""Metadata as properties: made when a first value comes, its type theirs for ever."""

import threading
from collections.abc import Mapping
from datetime import datetime

from weaviate.classes.config import DataType
from weaviate.classes.data import GeoCoordinate
from weaviate.collections.classes.types import WeaviateField
from weaviate.collections.config import _ConfigCollection

from clip_vectorizer.errors import InputError
from clip_vectorizer.making import add_property
from clip_vectorizer.schema import METADATA, property_name, user_property
from ingest.facts import zoned
from ingest.items import Place, UnusableFile, Value

TYPES: dict[type, DataType] = {
    bool: DataType.BOOL,
    int: DataType.INT,
    float: DataType.NUMBER,
    str: DataType.TEXT,
    datetime: DataType.DATE,
    Place: DataType.GEO_COORDINATES,
}


class Columns:
    """The properties of one collection. Several threads may use it."""

    def __init__(self, config: _ConfigCollection, known: Mapping[str, DataType]) -> None:
        self._config, self._known = config, dict(known)
        self._lock = threading.Lock()

    def properties(self, metadata: Mapping[str, Value]) -> dict[str, WeaviateField]:
        """Raises UnusableFile where a value does not fit its property, or a column cannot be one."""
        found: dict[str, WeaviateField] = {}
        for column, value in metadata.items():
            name = name_of(column)
            if name in found:
                raise UnusableFile(f"two of its columns are called {name}; rename one, --property {column}=my_{name}")
            found[name] = self._fitting(column, name, value)
        return found

    def _fitting(self, column: str, name: str, value: Value) -> WeaviateField:
        wanted, there = data_type(value), self._type(name, value)
        if there is DataType.NUMBER and wanted is DataType.INT and isinstance(value, int):
            return float(value)
        if there is not wanted:
            as_text = f"read all of it as text, --property {column}={name}:text, or " if there is DataType.TEXT else ""
            raise UnusableFile(
                f"its column {column!r} is {wanted.value} here, but the property {name} holds {there.value}; {as_text}"
                f"give it another property, --property {column}=my_{name}"
            )
        return as_field(value)

    def _type(self, name: str, value: Value) -> DataType:
        with self._lock:
            if name not in self._known:
                add_property(self._config, user_property(name, data_type(value)))
                self._known = {each.name: each.data_type for each in self._config.get().properties}
            return self._known[name]


def name_of(column: str) -> str:
    if column in METADATA:
        return column
    try:
        return property_name(column)
    except InputError as error:
        raise UnusableFile(str(error)) from error


def data_type(value: Value) -> DataType:
    return next(wanted for kind, wanted in TYPES.items() if isinstance(value, kind))  # bool before int


def as_field(value: Value) -> WeaviateField:
    if isinstance(value, Place):
        return GeoCoordinate(latitude=value.latitude, longitude=value.longitude)
    if isinstance(value, datetime):
        return zoned(value)
    return value
