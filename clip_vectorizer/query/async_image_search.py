"""ImageSearch for asyncio: the same searches, on weaviate's own async client. D dimensions"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self, Unpack

import numpy.typing as npt

from clip_vectorizer.database.connection import connect_weaviate_async, weaviate_errors
from clip_vectorizer.database.schema import LABEL
from clip_vectorizer.defaults import DEFAULT_URL, DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.connect import select_partition
from clip_vectorizer.query.explain import Explanation, build_explanation
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.search.arguments import SearchArguments, SearchOptions
from clip_vectorizer.query.search.calls import embed_step
from clip_vectorizer.query.search.query import QueryInput, text, vector
from clip_vectorizer.query.search.query import image as picture
from clip_vectorizer.query.search.searches import Searches, split_pages
from clip_vectorizer.query.search.steps import ResultT, SearchFlow, SearchStep, WeaviateCall, run_flow_async
from clip_vectorizer.query.zeroshot import Classification
from clip_vectorizer.query.zeroshot.arguments import ClassifyArguments, ClassifyInput


class AsyncImageSearch:
    """ImageSearch's methods, to be awaited; those that go on and on are async iterators. Each is described there.

    `async with await AsyncImageSearch.connect(...) as search: hits = await search.find("owl")`
    One may be used by many tasks at once. Weaviate is asked by its async client, the sidecar in threads.
    """

    @classmethod
    async def connect(
        cls,
        weaviate_url: str = DEFAULT_URL,
        grpc_port: int | None = None,
        api_key: str | None = None,
        vectorizer_url: str = DEFAULT_VECTORIZER_URL,
        collection: str | None = IMAGE_COLLECTION,
        vectorizer_api_key: str | None = None,
        tenant: str | None = None,
        consistency: str | None = None,
    ) -> Self:
        """As ImageSearch.connect, and with what it raises."""
        where = (weaviate_url, grpc_port, api_key, vectorizer_url, collection)
        whose = (vectorizer_api_key, tenant, consistency)
        async with AsyncExitStack() as opened:
            search = await asyncio.to_thread(ImageSearch.connect, *where, *whose)
            opened.callback(search.close)
            client = await opened.enter_async_context(connect_weaviate_async(weaviate_url, grpc_port, api_key))
            images = (
                select_partition(client.collections.use(collection), search.searches.searched) if collection else None
            )
            connected = cls(search, images, weaviate_url)
            connected._opened = opened.pop_all()
        return connected

    def __init__(self, search: ImageSearch, images: Any, url: str) -> None:
        """`connect` is the way in. `images`: the collection, of the async client; `search` has the rest."""
        self.info = search.info
        self._search, self._images, self._url = search, images, url
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends the connections; leaving the `async with` does it too."""
        await self._opened.aclose()

    async def find(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> list[Hit]:
        return await self._run(self._searches.find(what, **asked))

    async def by_text(self, query: str, limit: int = 10, **asked: Unpack[SearchOptions]) -> list[Hit]:
        return await self.find(text(query), limit=limit, **asked)

    async def by_image(self, image: ImageInput, limit: int = 10, **asked: Unpack[SearchOptions]) -> list[Hit]:
        return await self.find(picture(image), limit=limit, **asked)

    async def by_vector(self, values: npt.ArrayLike, limit: int = 10, **asked: Unpack[SearchOptions]) -> list[Hit]:
        return await self.find(vector(values), limit=limit, **asked)

    async def groups(
        self, what: QueryInput, by: str = LABEL, per_group: int = 3, groups: int = 10, **asked: Unpack[SearchArguments]
    ) -> list[Group]:
        return await self._run(self._searches.groups(what, by, per_group, groups, **asked))

    async def pages(
        self, what: QueryInput, size: int = 100, **asked: Unpack[SearchArguments]
    ) -> AsyncIterator[list[Hit]]:
        plan = await self._run(self._searches.all_pages(what, **asked))
        for limit, offset in split_pages(plan.question, size):
            if hits := await self._run(self._searches.page(plan, limit, offset)):
                yield hits
            if len(hits) < limit:
                return

    async def everything(
        self,
        after: str | None = None,
        where: FilterInput = None,
        properties: Iterable[str] = (),
        vectors: bool = False,
        thumbnails: bool = False,
    ) -> AsyncIterator[StoredImage]:
        listing = self._searches.listing(where, properties, vectors, thumbnails)
        last = await self._run(listing.start_after(after))
        while rows := await self._run(listing.page(last)):
            for row in rows:
                yield listing.listed(row)
            last = rows[-1]

    async def explain(self, what: QueryInput, **asked: Unpack[SearchArguments]) -> Explanation:
        return build_explanation(await self._run(self._searches.explain(what, **asked)), self._searches.searched)

    async def explain_groups(
        self, what: QueryInput, by: str = LABEL, per_group: int = 3, groups: int = 10, **asked: Unpack[SearchArguments]
    ) -> Explanation:
        planned = await self._run(self._searches.explain_groups(what, by, per_group, groups, **asked))
        return build_explanation(planned, self._searches.searched)

    async def classify(
        self,
        images: ClassifyInput,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        limit: int | None = None,
        **how: Unpack[ClassifyArguments],
    ) -> AsyncIterator[Classification]:
        """In a thread, one result after the other."""
        results = await asyncio.to_thread(partial(self._search.classify, images, labels, templates, limit, **how))
        while (result := await asyncio.to_thread(next, results, None)) is not None:
            yield result

    async def label_set(self, name: str) -> list[str]:
        return await asyncio.to_thread(self._search.label_set, name)

    @property
    def _searches(self) -> Searches:
        return self._search.searches

    async def _run(self, flow: SearchFlow[ResultT]) -> ResultT:
        return await run_flow_async(flow, self._answer)

    async def _answer(self, step: SearchStep) -> Any:
        if not isinstance(step, WeaviateCall):
            return await asyncio.to_thread(embed_step, step, self._search.sidecar)
        if self._images is None:
            raise InputError("connected without a collection; name one: AsyncImageSearch.connect(collection='Image')")
        try:
            with weaviate_errors(self._url):
                return await step(self._images)
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise InputError("the search was closed before Weaviate answered") from None  # gRPC cancels its own calls
