"""An explanation is what a search sends, and the async client finds the same."""

import asyncio
from typing import Any

import pytest
from weaviate import WeaviateClient

from clip_vectorizer.query import (
    AsyncImageSearch,
    ImageSearch,
)
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.query import QueryInput
from tests.stack.search.stored import OWL, SEARCHES, connect
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(("what", "arguments"), SEARCHES)
def test_an_explanation_is_what_is_sent(
    stack: Stack, found: ImageSearch, client: WeaviateClient, what: QueryInput, arguments: SearchArguments
) -> None:
    explanation = found.explain(what, **arguments)
    ids = [hit.id for hit in found.find(what, **arguments | SearchArguments(deduplicate=False))]
    names: dict[str, object] = {"client": client}
    exec(explanation.python, names)  # as a user would paste it
    assert [str(row.uuid) for row in names["found"].objects][: len(ids)] == ids  # type: ignore[attr-defined]
    if explanation.graphql is None:
        assert "diversity" in str(explanation)
    else:
        assert [row["_additional"]["id"] for row in stack.graphql(explanation.graphql)][: len(ids)] == ids
    assert ids and all(len(line) <= 80 for line in str(explanation).splitlines()), str(explanation)


def test_the_explained_code_reads_with_the_consistency_level(
    stack: Stack, client: WeaviateClient, examples: str
) -> None:
    with connect(stack, examples, consistency_level="QUORUM") as search:
        explanation, ids = search.explain("owl", limit=3), [hit.id for hit in search.find("owl", limit=3)]
    names: dict[str, Any] = {"client": client}
    exec(explanation.python, names)
    assert names["collection"].consistency_level == "QUORUM"
    assert [str(found.uuid) for found in names["found"].objects] == ids


def test_asyncio_finds_the_same_and_many_at_once(stack: Stack, found: ImageSearch, examples: str) -> None:
    async def compare() -> None:
        connected = AsyncImageSearch.connect(
            stack.weaviate_url,
            grpc_port=stack.grpc_port,
            api_key=stack.api_key,
            vectorizer_url=stack.vectorizer_url,
            collection=examples,
        )
        async with await connected as search:
            for what, given in SEARCHES:
                arguments = given | SearchArguments(include_vector=False)
                assert await search.find(what, **arguments) == found.find(what, **arguments)
            assert await search.groups("owl") == found.groups("owl")
            assert [page async for page in search.pages("owl", 150)] == list(found.pages("owl", 150))
            fruit = list(found.iterate(filters="label=fruit"))
            assert [each async for each in search.iterate(filters="label=fruit")] == fruit
            assert str(await search.explain("owl")) == str(found.explain("owl"))
            assert await search.by_image(OWL, 1) == found.by_image(OWL, 1)
            assert await search.by_text("owl", 1) == found.by_text("owl", 1)
            words = [f"{word} {n}" for n in range(5) for word in ("owl", "dog", "car", "pear")]
            at_once = await asyncio.gather(*(search.find(word, limit=3) for word in words))
            assert at_once == [found.find(word, limit=3) for word in words]

    asyncio.run(compare())
