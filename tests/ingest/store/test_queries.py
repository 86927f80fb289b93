from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from weaviate.classes.query import Filter

from ingest.store.objects import get_path, iterate_matching


class FakeCollection:
    """Answers range filters over paths as Weaviate does: at most `limit`, in no certain order."""

    def __init__(self, paths: set[str]) -> None:
        self._paths = paths
        self.query = self
        self.requests = 0

    def fetch_objects(self, filters: Any, limit: int, return_properties: list[str]) -> Any:
        self.requests += 1
        found = sorted((path for path in self._paths if holds(filters, path)), key=lambda path: path[::-1])
        return SimpleNamespace(objects=[SimpleNamespace(properties={"path": path}) for path in found[:limit]])


def holds(where: Any, path: str) -> bool:
    if hasattr(where, "filters"):
        return all(holds(each, path) for each in where.filters)
    if where.target != "path":
        return True
    return path <= where.value if where.operator.value == "LessThanEqual" else path > where.value


SOURCE = Filter.by_property("source").equal("/photos")


@given(st.sets(st.text(min_size=1), max_size=60), st.integers(2, 9))
def test_everything_is_found_once_however_small_a_page(paths: set[str], page: int) -> None:
    found = [get_path(row) for row in iterate_matching(FakeCollection(paths), SOURCE, [], page)]
    assert sorted(found) == sorted(paths)


def test_a_single_page_is_one_request() -> None:
    collection = FakeCollection({"a", "b"})
    assert len(list(iterate_matching(collection, SOURCE, [], 3))) == 2 and collection.requests == 1
