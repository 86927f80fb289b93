"""ImageSearch for asyncio: the same searches, on weaviate-client's async client.

D dimensions
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Self, Unpack

import numpy.typing as npt
from weaviate.classes.config import DataType

from clip_vectorizer.database.connection import connect_weaviate_async, weaviate_errors
from clip_vectorizer.database.schema import LABEL
from clip_vectorizer.defaults import DEFAULT_URL, DEFAULT_VECTORIZER_URL, IMAGE_COLLECTION
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.captions.answers import Answer, ProviderInput
from clip_vectorizer.query.captions.choose import CaptionArguments
from clip_vectorizer.query.captions.writing import Caption
from clip_vectorizer.query.connect import select_partition
from clip_vectorizer.query.explain import Explanation, build_explanation
from clip_vectorizer.query.filters.where import FilterInput
from clip_vectorizer.query.grounding.ground import GroundArguments
from clip_vectorizer.query.grounding.groundings import PictureGroundings
from clip_vectorizer.query.grounding.image_names import GroundInput
from clip_vectorizer.query.grounding.region_reader import StoredRegions
from clip_vectorizer.query.hits import Group, Hit, StoredImage
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.image_search import ImageSearch
from clip_vectorizer.query.search.arguments import SearchArguments, SearchOptions
from clip_vectorizer.query.search.calls import (
    OpenRegions,
    ResultT,
    SearchFlow,
    SearchStep,
    WeaviateCall,
    embed_step,
    run_flow_async,
)
from clip_vectorizer.query.search.counting import ValueCount
from clip_vectorizer.query.search.query import Query, QueryInput
from clip_vectorizer.query.search.sampling import check_sample_size
from clip_vectorizer.query.search.searches import Searches, split_ids, split_pages
from clip_vectorizer.query.zeroshot.classify import ClassifyArguments, ClassifyInput
from clip_vectorizer.query.zeroshot.scores import Classification
from clip_vectorizer.vectors import Vectors

COUNTS_AT_ONCE = 4  # calls of one time line: Weaviate counts on as many cores as it has


class AsyncImageSearch:
    """ImageSearch for asyncio: the same methods and arguments, to `await`. An async context manager.

        async with await AsyncImageSearch.connect("http://localhost:8080", collection="Image") as search:
            hits = await search.find("a red apple", limit=3)
            async for image in search.iterate(filters="label=fruit"):
                print(image.path)

    `pages`, `iterate` and `classify` are async iterators. Many tasks may search at once: Weaviate is called by its
    async client, the sidecar in threads. ImageSearch documents each method, its arguments, and the errors it raises.
    """

    @classmethod
    async def connect(
        cls,
        weaviate_url: str = DEFAULT_URL,
        *,
        grpc_port: int | None = None,
        api_key: str | None = None,
        vectorizer_url: str = DEFAULT_VECTORIZER_URL,
        vectorizer_api_key: str | None = None,
        collection: str | None = IMAGE_COLLECTION,
        tenant: str | None = None,
        consistency_level: str | None = None,
        allow_addresses: Sequence[str] = (),
    ) -> Self:
        """Connect, as ImageSearch.connect; raises the same errors."""
        async with AsyncExitStack() as opened:
            search = await asyncio.to_thread(
                ImageSearch.connect,
                weaviate_url,
                grpc_port=grpc_port,
                api_key=api_key,
                vectorizer_url=vectorizer_url,
                vectorizer_api_key=vectorizer_api_key,
                collection=collection,
                tenant=tenant,
                consistency_level=consistency_level,
                allow_addresses=allow_addresses,
            )
            opened.callback(search.close)
            client = await opened.enter_async_context(connect_weaviate_async(weaviate_url, grpc_port, api_key))

            def use(name: str) -> Any:
                return select_partition(client.collections.use(name), search.searches.target)

            connected = cls(search, use(collection) if collection else None, weaviate_url, use)
            connected._opened = opened.pop_all()
        return connected

    def __init__(self, search: ImageSearch, images: Any, url: str, use: Callable[[str], Any] | None = None) -> None:
        """Use `connect` instead. `images`: the collection of the async client; `use` opens others by name; `search` has
        everything else."""
        self.info = search.info
        self._search, self._images, self._url, self._use = search, images, url, use
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections, as leaving the `async with` does."""
        await self._opened.aclose()

    async def find(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> list[Hit]:
        """Return the images nearest to `what`, best first: see ImageSearch.find."""
        return await self._run(self._searches.find(what, **arguments))

    async def by_text(self, query: str, limit: int = 10, **arguments: Unpack[SearchOptions]) -> list[Hit]:
        """Return the images nearest to a text, best first: see ImageSearch.by_text."""
        return await self.find(Query.text(query), limit=limit, **arguments)

    async def by_image(self, image: ImageInput, limit: int = 10, **arguments: Unpack[SearchOptions]) -> list[Hit]:
        """Return the images nearest to an image, best first: see ImageSearch.by_image."""
        return await self.find(Query.image(image), limit=limit, **arguments)

    async def by_vector(self, values: npt.ArrayLike, limit: int = 10, **arguments: Unpack[SearchOptions]) -> list[Hit]:
        """Return the images nearest to a vector (D,), best first: see ImageSearch.by_vector."""
        return await self.find(Query.vector(values), limit=limit, **arguments)

    async def groups(
        self,
        what: QueryInput,
        by: str = LABEL,
        per_group: int = 3,
        groups: int = 10,
        **arguments: Unpack[SearchArguments],
    ) -> list[Group]:
        """Return the nearest images by the value of a property, best group first: see ImageSearch.groups."""
        return await self._run(self._searches.groups(what, by, per_group, groups, **arguments))

    async def pages(
        self, what: QueryInput, size: int = 100, **arguments: Unpack[SearchArguments]
    ) -> AsyncIterator[list[Hit]]:
        """Yield all hits, best first, in pages of `size`: see ImageSearch.pages."""
        plan = await self._run(self._searches.plan_pages(what, **arguments))
        for limit, offset in split_pages(plan.request, size):
            if hits := await self._run(self._searches.page(plan, limit, offset)):
                yield hits
            if len(hits) < limit:
                return

    async def iterate(
        self,
        *,
        after: str | None = None,
        filters: FilterInput = None,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
        page_size: int | None = None,
    ) -> AsyncIterator[StoredImage]:
        """Yield every image of the collection: see ImageSearch.iterate."""
        listing = self._searches.listing(filters, return_properties, include_vector, include_thumbnail, page_size)
        last = await self._run(listing.start_after(after))
        while objects := await self._run(listing.page(last)):
            for found in objects:
                yield listing.read_image(found)
            last = objects[-1]

    async def embed(self, what: QueryInput) -> Vectors:
        """Return the vector (D,) of a query: see ImageSearch.embed."""
        return await self._run(self._searches.embed(what))

    async def count(self, filters: FilterInput = None) -> int:
        """Return how many images match: see ImageSearch.count."""
        return await self._run(self._searches.count(filters))

    async def count_values(self, name: str, filters: FilterInput = None, limit: int = 100) -> list[ValueCount]:
        """Return the values of a property with their counts: see ImageSearch.count_values."""
        return await self._run(self._searches.count_values(name, filters, limit))

    async def count_times(self, name: str, filters: FilterInput = None, within: str = "") -> list[ValueCount]:
        """Return the counts of years, months or days, four at a time: see ImageSearch.count_times."""
        free = asyncio.Semaphore(COUNTS_AT_ONCE)

        async def count(period: str) -> ValueCount:
            async with free:
                return await self._run(self._searches.count_period(name, filters, period))

        periods = await self._run(self._searches.periods(name, filters, within))
        return await asyncio.gather(*map(count, periods))

    async def sample(
        self,
        limit: int,
        *,
        filters: FilterInput = None,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
        page_size: int | None = None,
    ) -> AsyncIterator[StoredImage]:
        """Yield images spread evenly over all that match: see ImageSearch.sample."""
        check_sample_size(limit)
        listing = self._searches.listing(filters, return_properties, include_vector, include_thumbnail, page_size)
        if listing.filters is None:
            left, last = limit, None
            while left > 0 and (objects := await self._run(listing.page(last))):
                for found in objects[:left]:
                    yield listing.read_image(found)
                left, last = left - len(objects), objects[-1]
            return
        for page in split_ids(await self._run(self._searches.sample_ids(listing, limit)), listing):
            for image in await self._run(self._searches.stored_page(page, listing)):
                yield image

    async def stored_images(
        self,
        ids: Sequence[str],
        *,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
    ) -> AsyncIterator[StoredImage]:
        """Yield the images with these ids: see ImageSearch.stored_images."""
        listing = self._searches.listing(None, return_properties, include_vector, include_thumbnail)
        for page in split_ids(ids, listing):
            for image in await self._run(self._searches.stored_page(page, listing)):
                yield image

    async def newest(
        self,
        limit: int = 10,
        *,
        filters: FilterInput = None,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
    ) -> list[StoredImage]:
        """Return the images that were stored last, newest first: see ImageSearch.newest."""
        searches = self._searches
        return await self._run(searches.newest(limit, filters, return_properties, include_vector, include_thumbnail))

    async def explain_nothing(self, filters: FilterInput) -> str:
        """Return which value of the filters no image has: see ImageSearch.explain_nothing."""
        return await self._run(self._searches.explain_nothing(filters))

    async def stored(
        self,
        key: str,
        *,
        return_properties: Iterable[str] = (),
        include_vector: bool = False,
        include_thumbnail: bool = False,
    ) -> StoredImage:
        """Return one image of the collection: see ImageSearch.stored."""
        return await self._run(self._searches.stored(key, return_properties, include_vector, include_thumbnail))

    async def regions(self, key: str) -> StoredRegions:
        """Return the boxes that are stored for one image, in a thread: see ImageSearch.regions."""
        return await asyncio.to_thread(self._search.regions, key)

    async def explain(self, what: QueryInput, **arguments: Unpack[SearchArguments]) -> Explanation:
        """Return what `find` would send to Weaviate: see ImageSearch.explain."""
        planned = await self._run(self._searches.explain(what, **arguments))
        return build_explanation(planned, self._searches.target)

    async def explain_groups(
        self,
        what: QueryInput,
        by: str = LABEL,
        per_group: int = 3,
        groups: int = 10,
        **arguments: Unpack[SearchArguments],
    ) -> Explanation:
        """Return what `groups` would send to Weaviate: see ImageSearch.explain_groups."""
        planned = await self._run(self._searches.explain_groups(what, by, per_group, groups, **arguments))
        return build_explanation(planned, self._searches.target)

    async def classify(
        self,
        images: ClassifyInput,
        labels: Sequence[str] | None = None,
        templates: Sequence[str] | None = None,
        limit: int | None = None,
        **options: Unpack[ClassifyArguments],
    ) -> AsyncIterator[Classification]:
        """Yield the most likely of `labels` for each image, computed in a thread: see ImageSearch.classify."""
        results = await asyncio.to_thread(partial(self._search.classify, images, labels, templates, limit, **options))
        while (result := await asyncio.to_thread(next, results, None)) is not None:
            yield result

    async def ground(
        self, image: GroundInput, sentence: str = "", **arguments: Unpack[GroundArguments]
    ) -> PictureGroundings:
        """Return where in a picture the things are that a sentence names, in a thread: see ImageSearch.ground."""
        return await asyncio.to_thread(partial(self._search.ground, image, sentence, **arguments))

    async def write_captions(self, by: str, **options: Unpack[CaptionArguments]) -> AsyncIterator[Caption]:
        """Write captions, and yield each after it is stored, in a thread: see ImageSearch.write_captions."""
        run = await asyncio.to_thread(partial(self._search.write_captions, by, **options))
        captions = iter(run)
        while (caption := await asyncio.to_thread(next, captions, None)) is not None:
            yield caption

    async def answer(
        self,
        question: str,
        what: QueryInput | None = None,
        provider: ProviderInput = None,
        **arguments: Unpack[SearchArguments],
    ) -> list[Answer]:
        """Return what a language model answers about images, by their pictures: see ImageSearch.answer."""
        return await asyncio.to_thread(partial(self._search.answer, question, what, provider, **arguments))

    async def label_set(self, name: str) -> list[str]:
        """Return the labels of a stored set: see ImageSearch.label_set."""
        return await asyncio.to_thread(self._search.label_set, name)

    @property
    def properties(self) -> Mapping[str, DataType]:
        """The properties of the collection, with Weaviate's types."""
        return self._searches.target.properties

    @property
    def partition(self) -> tuple[str, str | None]:
        """The collection and the tenant that are searched."""
        target = self._searches.target
        return target.collection, target.tenant

    @property
    def _searches(self) -> Searches:
        return self._search.searches

    async def _run(self, flow: SearchFlow[ResultT]) -> ResultT:
        return await run_flow_async(flow, self._run_step)

    def _select(self, call: WeaviateCall) -> Any:
        return self._use(call.collection) if call.collection and self._use else self._images

    async def _run_step(self, step: SearchStep) -> Any:
        if isinstance(step, OpenRegions):
            return await asyncio.to_thread(self._search._open_regions)
        if not isinstance(step, WeaviateCall):
            return await asyncio.to_thread(embed_step, step, self._search.sidecar, self._search.guard)
        if self._images is None:
            raise InputError("connected without a collection; name one: AsyncImageSearch.connect(collection='Image')")
        try:
            with weaviate_errors(self._url):
                return await step(self._select(step))
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) and task.cancelling():
                raise
            raise InputError("the search was closed before Weaviate answered") from None  # gRPC cancels its own calls
