"""The gallery's connection: opened with the first page, and again after it was lost, so that the page survives both."""

import asyncio
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

import httpx

from clip_vectorizer.errors import WeaviateUnreachable
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.cli.connection import read_connect_arguments

ResultT = TypeVar("ResultT")
LIVE = "/v1/.well-known/live"
CHECK_SECONDS = 0.1  # pages and pictures that are requested together need one check
CHECK_TIMEOUT_SECONDS = 5.0
WATCH_SECONDS = 2.0  # between looks whether Weaviate still answers, while a search takes long
RENEW_SECONDS = 30.0  # a collection may have got properties, another model, or a filled index since


class GalleryConnection:
    """Opens one AsyncImageSearch for all requests. An error of opening is raised by each request, which tries again."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values`: the parameters of `collection_options`."""
        self.collection: str = values["collection"]
        self.weaviate_url: str = values["weaviate_url"]
        self._values = values
        self._search: AsyncImageSearch | None = None
        self._opened_at = 0.0
        self._checked_at = 0.0
        self._http: httpx.AsyncClient | None = None
        self._lock = asyncio.Lock()
        self._old: list[asyncio.Task[None]] = []

    async def open(self) -> AsyncImageSearch:
        """Return the connection. Raises what AsyncImageSearch.connect raises."""
        async with self._lock:
            if self._search is None or self._is_old() or not await self._is_live():
                self._retire(self._search)
                self._search = None
                self._search = await self._connect()
                self._opened_at = self._checked_at = time.monotonic()
            return self._search

    def _is_old(self) -> bool:
        return time.monotonic() - self._opened_at > RENEW_SECONDS

    async def _is_live(self) -> bool:
        """Whether Weaviate answers. A search would wait for it: weaviate-client tries six times, for a minute."""
        if time.monotonic() - self._checked_at < CHECK_SECONDS:
            return True
        self._http = self._http or httpx.AsyncClient(timeout=CHECK_TIMEOUT_SECONDS)
        try:
            answer = await self._http.get(f"{self.weaviate_url.rstrip('/')}{LIVE}")
        except httpx.HTTPError:
            return False
        self._checked_at = time.monotonic()
        return answer.is_success

    async def watch(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Return the result of work that Weaviate takes part in.

        Raises WeaviateUnreachable where it goes away meanwhile: weaviate-client would try again for a minute.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=WATCH_SECONDS))[0]:
                if not await self._is_live():
                    await self.lose()
                    await self.open()  # raises the sentence of a Weaviate that is away
                    raise WeaviateUnreachable(f"Weaviate at {self.weaviate_url} went away meanwhile; try again")
            return task.result()
        finally:
            task.cancel()

    async def lose(self) -> None:
        """Let the next request connect anew."""
        async with self._lock:
            self._retire(self._search)
            self._search = None

    async def close(self) -> None:
        if self._search is not None:
            await self._search.close()
            self._search = None
        if self._http is not None:
            await self._http.aclose()
        for task in self._old:
            task.cancel()

    def _retire(self, search: AsyncImageSearch | None) -> None:
        """Close a connection after the requests that still use it."""
        if search is not None:
            self._old = [task for task in self._old if not task.done()]
            self._old.append(asyncio.create_task(close_later(search)))

    async def _connect(self) -> AsyncImageSearch:
        return await AsyncImageSearch.connect(self.weaviate_url, **read_connect_arguments(self._values))


async def close_later(search: AsyncImageSearch) -> None:
    try:
        await asyncio.sleep(RENEW_SECONDS)
    finally:
        await search.close()
