"""AsyncImageSearch over colours returns what ImageSearch returns."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from clip_vectorizer.errors import InputError, WeaviateUnreachable
from clip_vectorizer.query import AsyncImageSearch, ImageSearch, Query
from clip_vectorizer.query.search.calls import WeaviateCall
from tests.query.fakes import INFO, FakeImages, FakeSidecar, picture
from tests.query.zeroshot_fakes import stores

MANY = tuple(f"{colour} {number}.png" for number in range(5) for colour in ("red", "green", "blue"))
NOWHERE = "http://127.0.0.1:1"


@dataclass
class AsyncQuery:
    """The `query` of an async client's collection, over FakeImages."""

    images: FakeImages
    at_once: int = 0
    most_at_once: int = 0

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def execute(**arguments: Any) -> Any:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            await asyncio.sleep(0)
            self.at_once -= 1
            return self.images.execute(WeaviateCall(method, arguments))

        return execute


@dataclass
class AsyncCollection:
    query: AsyncQuery = field(default_factory=lambda: AsyncQuery(FakeImages(MANY)))


def build_both(collection: AsyncCollection | None = None) -> tuple[ImageSearch, AsyncImageSearch]:
    search = ImageSearch(INFO, FakeSidecar(), FakeImages(MANY), stores)
    return search, AsyncImageSearch(search, collection or AsyncCollection(), "")


def test_every_search_returns_the_same() -> None:
    async def compare() -> None:
        here, there = build_both()
        for what in (
            "red",
            Query.text("red") - 0.5 * Query.text("blue"),
            Query.stored(MANY[0]),
            picture("green"),
            Query.vector([1, 2, 3]),
        ):
            assert await there.find(what, limit=4, deduplicate=True) == here.find(what, limit=4, deduplicate=True)
        assert await there.by_text("red", 3) == here.by_text("red", 3)
        assert await there.by_image(picture("red"), 3) == here.by_image(picture("red"), 3)
        assert await there.by_vector([1, 0, 0], 3, offset=2) == here.by_vector([1, 0, 0], 3, offset=2)
        assert [page async for page in there.pages("red", 4, limit=10)] == list(here.pages("red", 4, limit=10))
        assert [each async for each in there.iterate()] == list(here.iterate())
        assert str(await there.explain("red")) == str(here.explain("red"))

    asyncio.run(compare())


def test_files_are_classified_the_same() -> None:
    async def compare() -> None:
        here, there = build_both()
        files = [picture("red"), b"broken", picture("blue")]
        results = [result async for result in there.classify(files, ["red", "blue"])]
        assert results == list(here.classify(files, ["red", "blue"]))

    asyncio.run(compare())


def test_many_searches_wait_at_the_same_time() -> None:
    async def compare() -> None:
        collection = AsyncCollection()
        here, there = build_both(collection)
        words = ["red", "green", "blue", "red blue"] * 5
        assert await asyncio.gather(*map(there.find, words)) == [here.find(each) for each in words]
        assert collection.query.most_at_once > 10

    asyncio.run(compare())


def test_errors_are_raised_where_the_call_is_awaited() -> None:
    async def compare() -> None:
        _, there = build_both()
        with pytest.raises(InputError, match="cancel each other out"):
            await there.find(Query.text("red") - "red")
        with pytest.raises(InputError, match="size 0"):
            await anext(there.pages("red", 0))
        with pytest.raises(InputError, match="at least two"):
            await anext(there.classify([picture("red")], ["red"]))
        with pytest.raises(InputError, match="connected without a collection"):
            await AsyncImageSearch(ImageSearch(INFO, FakeSidecar(), None, stores), None, "").find("red")
        with pytest.raises(WeaviateUnreachable, match=NOWHERE):
            await AsyncImageSearch.connect(NOWHERE, vectorizer_url=NOWHERE)

    asyncio.run(compare())


@dataclass
class ClosedMeanwhile:
    """A collection whose client is closed during a call: gRPC cancels the call, not the task that awaits it."""

    @property
    def query(self) -> "ClosedMeanwhile":
        return self

    async def near_text(self, **_: Any) -> Any:
        await asyncio.sleep(0)
        raise asyncio.CancelledError


def test_a_search_closed_while_it_waits_raises_and_a_cancelled_one_is_cancelled() -> None:
    async def compare() -> None:
        search, _ = build_both()
        closed = AsyncImageSearch(search, ClosedMeanwhile(), "")
        with pytest.raises(InputError, match="closed before Weaviate answered"):
            await closed.find("red")
        task = asyncio.create_task(closed.find("red"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        search.close()
        with pytest.raises(InputError, match="closed; connect again"):
            await closed.find("red")

    asyncio.run(compare())


def list_methods(client: type) -> dict[str, Callable[..., Any]]:
    members = inspect.getmembers(client, inspect.isroutine)
    return {name: method for name, method in members if not name.startswith("_")}


def test_both_clients_have_the_same_documented_methods_with_the_same_arguments() -> None:
    sync_methods, async_methods = list_methods(ImageSearch), list_methods(AsyncImageSearch)
    assert sync_methods.keys() == async_methods.keys()
    for name, method in sync_methods.items():
        assert inspect.signature(method).parameters == inspect.signature(async_methods[name]).parameters, name
        assert method.__doc__ and async_methods[name].__doc__, name


@pytest.mark.parametrize("client", [ImageSearch, AsyncImageSearch])
def test_connect_takes_keywords_after_the_url(client: type[ImageSearch] | type[AsyncImageSearch]) -> None:
    url, *others = inspect.signature(client.connect).parameters.values()
    assert url.name == "weaviate_url"
    assert {each.kind for each in others} == {inspect.Parameter.KEYWORD_ONLY}
