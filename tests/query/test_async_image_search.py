"""AsyncImageSearch over colours gives what ImageSearch gives."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from clip_vectorizer.errors import InputError, WeaviateUnreachable
from clip_vectorizer.query import AsyncImageSearch, ImageSearch, stored, text, vector
from clip_vectorizer.query.search.steps import WeaviateCall
from tests.query.fakes import INFO, FakeImages, FakeSidecar, picture
from tests.query.zeroshot_fakes import shelf

MANY = tuple(f"{colour} {number}.png" for number in range(5) for colour in ("red", "green", "blue"))
NOWHERE = "http://127.0.0.1:1"


@dataclass
class AsyncQuery:
    """The `query` of an async client's collection, answered by FakeImages."""

    images: FakeImages
    at_once: int = 0
    most_at_once: int = 0

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def ask(**arguments: Any) -> Any:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
            await asyncio.sleep(0)
            self.at_once -= 1
            return self.images.ask(WeaviateCall(method, arguments))

        return ask


@dataclass
class AsyncCollection:
    query: AsyncQuery = field(default_factory=lambda: AsyncQuery(FakeImages(MANY)))


def both(collection: AsyncCollection | None = None) -> tuple[ImageSearch, AsyncImageSearch]:
    search = ImageSearch(INFO, FakeSidecar(), FakeImages(MANY), shelf)
    return search, AsyncImageSearch(search, collection or AsyncCollection(), "")


def test_every_search_gives_the_same() -> None:
    async def ask() -> None:
        here, there = both()
        for what in ("red", text("red") - 0.5 * text("blue"), stored(MANY[0]), picture("green"), vector([1, 2, 3])):
            assert await there.find(what, limit=4, fold=True) == here.find(what, limit=4, fold=True)
        assert await there.by_text("red", 3) == here.by_text("red", 3)
        assert await there.by_image(picture("red"), 3) == here.by_image(picture("red"), 3)
        assert await there.by_vector([1, 0, 0], 3, offset=2) == here.by_vector([1, 0, 0], 3, offset=2)
        assert [page async for page in there.pages("red", 4, limit=10)] == list(here.pages("red", 4, limit=10))
        assert [each async for each in there.everything()] == list(here.everything())
        assert str(await there.explain("red")) == str(here.explain("red"))

    asyncio.run(ask())


def test_files_are_classified_the_same() -> None:
    async def ask() -> None:
        here, there = both()
        files = [picture("red"), b"broken", picture("blue")]
        results = [result async for result in there.classify(files, ["red", "blue"])]
        assert results == list(here.classify(files, ["red", "blue"]))

    asyncio.run(ask())


def test_many_searches_wait_beside_each_other() -> None:
    async def ask() -> None:
        collection = AsyncCollection()
        here, there = both(collection)
        words = ["red", "green", "blue", "red blue"] * 5
        assert await asyncio.gather(*map(there.find, words)) == [here.find(each) for each in words]
        assert collection.query.most_at_once > 10

    asyncio.run(ask())


def test_what_is_wrong_is_raised_where_it_is_awaited() -> None:
    async def ask() -> None:
        _, there = both()
        with pytest.raises(InputError, match="cancel each other out"):
            await there.find(text("red") - "red")
        with pytest.raises(InputError, match="size 0"):
            await anext(there.pages("red", 0))
        with pytest.raises(InputError, match="at least two"):
            await anext(there.classify([picture("red")], ["red"]))
        with pytest.raises(InputError, match="connected without a collection"):
            await AsyncImageSearch(ImageSearch(INFO, FakeSidecar(), None, shelf), None, "").find("red")
        with pytest.raises(WeaviateUnreachable, match=NOWHERE):
            await AsyncImageSearch.connect(NOWHERE, vectorizer_url=NOWHERE)

    asyncio.run(ask())


@dataclass
class ClosedMeanwhile:
    """A collection whose client is closed while it waits: gRPC cancels the call, not the task that awaits it."""

    @property
    def query(self) -> "ClosedMeanwhile":
        return self

    async def near_text(self, **_: Any) -> Any:
        await asyncio.sleep(0)
        raise asyncio.CancelledError


def test_a_search_that_is_closed_while_it_waits_is_an_error_and_one_that_is_cancelled_is_cancelled() -> None:
    async def ask() -> None:
        search, _ = both()
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

    asyncio.run(ask())
