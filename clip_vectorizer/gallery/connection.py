"""The gallery's connections: opened with the first page, and again after one was lost, so that the page survives both.

There is one for each collection and tenant that is looked at, the last few of them.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from clip_vectorizer.defaults import IMAGE_COLLECTION
from clip_vectorizer.errors import InputError, VectorizerError, WeaviateUnreachable
from clip_vectorizer.gallery.address import Address, Pairs
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.cli.address_options import COLLECTION, TENANT
from clip_vectorizer.query.cli.connection import read_connect_arguments
from clip_vectorizer.query.connect import check_collection_exists
from clip_vectorizer.query.image_collections import ListedCollection, read_image_collections

ResultT = TypeVar("ResultT")
LIVE = "/v1/.well-known/live"
CHECK_SECONDS = 0.1  # pages and pictures that are requested together need one check
CHECK_TIMEOUT_SECONDS = 5.0
WATCH_SECONDS = 2.0  # between looks whether Weaviate still answers, while a search takes long
RENEW_SECONDS = 30.0  # a collection may have got properties, another model, or a filled index since
LIST_SECONDS = 10.0  # that a list of collections and tenants is used
KEPT_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Partition:
    """What is searched: a collection, and its tenant where it has some."""

    collection: str
    tenant: str | None = None


@dataclass(slots=True)
class OpenSearch:
    """The connection of one partition, None before it is opened and after it was lost."""

    search: AsyncImageSearch | None = None
    opened_at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_old(self) -> bool:
        return time.monotonic() - self.opened_at > RENEW_SECONDS


class GalleryConnection:
    """Opens an AsyncImageSearch for each partition. An error of opening is raised by each request, which tries again.

    Where the command names collections, no other one is shown; where it names a tenant, no other one.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        """`values`: the parameters of `clip-gallery`."""
        self.weaviate_url: str = values["weaviate_url"]
        self.named: tuple[str, ...] = tuple(dict.fromkeys(values["collections"]))
        self.default = Partition(self.named[0] if self.named else IMAGE_COLLECTION, values["tenant"])
        self._values = values
        self._opened: OrderedDict[Partition, OpenSearch] = OrderedDict()
        self._refusal: Exception | None = None  # of the last try to open
        self._checked_at = 0.0
        self._http: httpx.AsyncClient | None = None
        self._listed: tuple[ListedCollection, ...] = ()
        self._listed_at = 0.0
        self._list_lock = asyncio.Lock()
        self._old: list[asyncio.Task[None]] = []

    def find_partition(self, address: Address) -> Partition:
        """Return what an address shows. Raises InputError for what this gallery does not show."""
        collection = address.one(COLLECTION) or self.default.collection
        own = self.default.tenant if collection == self.default.collection else None
        if self.named and collection not in self.named:
            raise InputError(
                f"this gallery does not show the collection {collection}; it shows {', '.join(self.named)} "
                "(clip-gallery --collection NAME)"
            )
        tenant = address.one(TENANT) or own
        if tenant and self.default.tenant and tenant != self.default.tenant:
            raise InputError(
                f"this gallery does not show the tenant {tenant}; it shows {self.default.tenant} "
                "(clip-gallery --tenant NAME)"
            )
        return Partition(collection, tenant)

    def find_shown(self, address: Address) -> Partition:
        """Return what a page is about whose address may be refused: then what the gallery begins with."""
        try:
            partition = self.find_partition(address)
        except InputError:
            return self.default
        is_known = self.named or partition.collection in (
            self.default.collection,
            *(each.name for each in self._listed),
        )
        return partition if is_known else self.default

    def make_address(self, partition: Partition, rest: Pairs = ()) -> Address:
        """Return the address of a partition, which has no name where the gallery begins with it."""
        if partition == self.default:
            return Address(rest)
        tenant = ((TENANT, partition.tenant),) if partition.tenant else ()
        return Address(((COLLECTION, partition.collection), *tenant, *rest))

    async def open(self, address: Address) -> AsyncImageSearch:
        """Return the connection. Raises InputError for what this gallery does not show, and what
        AsyncImageSearch.connect raises.
        """
        partition = self.find_partition(address)
        await self._check_listed(partition.collection)
        return await self._open(partition)

    async def _open(self, partition: Partition) -> AsyncImageSearch:
        opened = self._opened.setdefault(partition, OpenSearch())
        self._opened.move_to_end(partition)
        async with opened.lock:
            if opened.search is None or opened.is_old or not await self._is_live():
                self._retire(opened)
                opened.search = search = await self._try_to_connect(partition, opened)
                opened.opened_at = self._checked_at = time.monotonic()
                self._drop_others(partition, opened)
                return search
            return opened.search

    async def _try_to_connect(self, partition: Partition, opened: OpenSearch) -> AsyncImageSearch:
        try:
            return await self._connect(partition)
        except Exception as error:
            self._refusal = error
            if self._opened.get(partition) is opened:
                del self._opened[partition]  # an address may name any tenant
            raise

    def _drop_others(self, partition: Partition, opened: OpenSearch) -> None:
        while len(self._opened) > KEPT_CONNECTIONS:
            self._retire(self._opened.popitem(last=False)[1])
        if self._opened.get(partition) is not opened:  # it was dropped while it opened
            self._retire(opened)

    async def list_collections(self) -> tuple[ListedCollection, ...]:
        """Return the collections that may be shown, with their tenants; none where they cannot be listed."""
        try:
            found = await self._list(LIST_SECONDS)
        except VectorizerError:
            return ()
        return tuple(each for each in found if not self.named or each.name in self.named)

    async def _check_listed(self, collection: str) -> None:
        """Raises InputError for a collection that is named only by the address, and has no images of `clip-ingest`."""
        if self.named or collection == self.default.collection:
            return
        if all(each.name != collection for each in await self._list(LIST_SECONDS)):
            names = [each.name for each in await self._list(CHECK_SECONDS)]  # it may be a new one
            check_collection_exists(collection, names, self.weaviate_url)

    async def _list(self, most_seconds: float) -> tuple[ListedCollection, ...]:
        """`most_seconds`: how old the list may be."""
        async with self._list_lock:
            if not self._listed_at or time.monotonic() - self._listed_at > most_seconds:
                values = self._values
                self._listed = await asyncio.to_thread(
                    read_image_collections, self.weaviate_url, values["weaviate_grpc_port"], values["weaviate_api_key"]
                )
                self._listed_at = time.monotonic()
            return self._listed

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
                    await self._list(0.0)  # raises the sentence of a Weaviate that is away
                    raise WeaviateUnreachable(f"Weaviate at {self.weaviate_url} went away meanwhile; try again")
            return task.result()
        finally:
            task.cancel()

    async def lose(self, error: Exception | None = None) -> None:
        """Let the next requests connect anew. An `error` of opening says nothing about what is open."""
        if error is None or error is not self._refusal:
            for opened in self._opened.values():
                self._retire(opened)

    async def close(self) -> None:
        for opened in self._opened.values():
            if opened.search is not None:
                await opened.search.close()
        self._opened.clear()
        if self._http is not None:
            await self._http.aclose()
        for task in self._old:
            task.cancel()

    def _retire(self, opened: OpenSearch) -> None:
        """Close a connection after the requests that still use it."""
        if opened.search is not None:
            self._old = [task for task in self._old if not task.done()]
            self._old.append(asyncio.create_task(close_later(opened.search)))
            opened.search = None

    async def _connect(self, partition: Partition) -> AsyncImageSearch:
        values = {**self._values, "collection": partition.collection, "tenant": partition.tenant}
        return await AsyncImageSearch.connect(self.weaviate_url, **read_connect_arguments(values))


async def close_later(search: AsyncImageSearch) -> None:
    try:
        await asyncio.sleep(RENEW_SECONDS)
    finally:
        await search.close()
