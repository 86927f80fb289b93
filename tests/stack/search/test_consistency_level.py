"""`consistency_level` reaches the database with every read: requests are recorded on their way to it."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import grpc
import pytest
from weaviate.classes.config import ConsistencyLevel
from weaviate.proto.v1 import base_pb2, search_get_pb2

from clip_vectorizer.query import AsyncImageSearch, ImageSearch, Query
from tests.stack.support import Stack

pytestmark = pytest.mark.stack

SEARCH = "/weaviate.v1.Weaviate/Search"
LEVELS = {
    "ONE": base_pb2.CONSISTENCY_LEVEL_ONE,
    "QUORUM": base_pb2.CONSISTENCY_LEVEL_QUORUM,
    "ALL": base_pb2.CONSISTENCY_LEVEL_ALL,
}


@dataclass
class Recorder(grpc.GenericRpcHandler):
    """A gRPC proxy that forwards bytes to the real database and keeps every search request."""

    upstream: grpc.Channel
    searches: list[search_get_pb2.SearchRequest] = field(default_factory=list)

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        forward = self.upstream.unary_unary(details.method)

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            if details.method == SEARCH:
                self.searches.append(search_get_pb2.SearchRequest.FromString(request))
            metadata = [pair for pair in context.invocation_metadata() if pair[0] == "authorization"]
            try:
                answer: bytes = forward(request, metadata=metadata)
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            return answer

        return grpc.unary_unary_rpc_method_handler(handle)


@dataclass
class Proxy:
    port: int
    recorder: Recorder

    def levels(self) -> set[int | None]:
        """The levels of all searches so far; None for a request without one."""
        return {
            search.consistency_level if search.HasField("consistency_level") else None
            for search in self.recorder.searches
        }


@pytest.fixture
def proxy(stack: Stack) -> Iterator[Proxy]:
    host = urlsplit(stack.weaviate_url).hostname
    with grpc.insecure_channel(f"{host}:{stack.grpc_port}") as upstream:
        recorder = Recorder(upstream)
        server = grpc.server(ThreadPoolExecutor(4), handlers=[recorder])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield Proxy(port, recorder)
        server.stop(None).wait()


def arguments(stack: Stack, proxy: Proxy, collection: str) -> dict[str, object]:
    return {
        "grpc_port": proxy.port,
        "api_key": stack.api_key,
        "vectorizer_url": stack.vectorizer_url,
        "collection": collection,
    }


@pytest.mark.parametrize("level", ["ONE", "QUORUM", "ALL", ConsistencyLevel.QUORUM])
def test_every_read_carries_the_level(stack: Stack, proxy: Proxy, examples: str, level: str) -> None:
    options = arguments(stack, proxy, examples)
    with ImageSearch.connect(stack.weaviate_url, **options, consistency_level=level) as search:  # type: ignore[arg-type]
        assert search.find("owl", limit=3)
        assert search.find(Query.stored("birds/owl.png") + "bird", limit=3)
        assert search.groups("owl", groups=2)
        assert next(search.iterate(filters="label=fruit"))
        assert next(iter(search.classify(None, ["owl", "pear"], limit=2)))
    images = [search for search in proxy.recorder.searches if search.collection == examples]
    assert len(images) >= 5
    assert {search.consistency_level for search in images} == {LEVELS[str(ConsistencyLevel(level).value)]}


def test_without_a_level_the_database_decides(stack: Stack, proxy: Proxy, examples: str) -> None:
    with ImageSearch.connect(stack.weaviate_url, **arguments(stack, proxy, examples)) as search:  # type: ignore[arg-type]
        assert search.find("owl", limit=3)
    assert proxy.levels() == {None}


def test_the_asynchronous_client_carries_it_too(stack: Stack, proxy: Proxy, examples: str) -> None:
    async def read() -> None:
        options = arguments(stack, proxy, examples)
        opened = AsyncImageSearch.connect(stack.weaviate_url, **options, consistency_level="ALL")  # type: ignore[arg-type]
        async with await opened as search:
            assert await search.find("owl", limit=3)
            assert await anext(search.iterate())

    asyncio.run(read())
    assert proxy.levels() == {LEVELS["ALL"]}
