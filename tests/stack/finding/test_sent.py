"""What is sent is what an explanation tells, and the async client sends the same."""

import asyncio

import pytest
from weaviate import WeaviateClient

from clip_vectorizer.query import (
    AsyncImageSearch,
    ImageSearch,
)
from clip_vectorizer.query.search.arguments import SearchArguments
from clip_vectorizer.query.search.query import QueryInput
from tests.stack.finding.held import OWL, QUESTIONS
from tests.stack.support import Stack

pytestmark = pytest.mark.stack


@pytest.mark.parametrize(("what", "asked"), QUESTIONS)
def test_an_explanation_is_what_is_sent(
    stack: Stack, found: ImageSearch, client: WeaviateClient, what: QueryInput, asked: SearchArguments
) -> None:
    explanation = found.explain(what, **asked)
    ids = [hit.id for hit in found.find(what, **asked | SearchArguments(fold=False))]
    names: dict[str, object] = {"client": client}
    exec(explanation.python, names)  # as one pastes it
    assert [str(row.uuid) for row in names["found"].objects][: len(ids)] == ids  # type: ignore[attr-defined]
    if explanation.graphql is None:
        assert "diversity" in str(explanation)
    else:
        assert [row["_additional"]["id"] for row in stack.graphql(explanation.graphql)][: len(ids)] == ids
    assert ids and all(len(line) <= 80 for line in str(explanation).splitlines()), str(explanation)


def test_asyncio_finds_the_same_and_many_at_once(stack: Stack, found: ImageSearch, examples: str) -> None:
    async def ask() -> None:
        where = (stack.weaviate_url, stack.grpc_port, stack.api_key, stack.vectorizer_url, examples)
        async with await AsyncImageSearch.connect(*where) as search:
            for what, asked in QUESTIONS:
                asked = asked | SearchArguments(vectors=False)
                assert await search.find(what, **asked) == found.find(what, **asked)
            assert await search.groups("owl") == found.groups("owl")
            assert [page async for page in search.pages("owl", 150)] == list(found.pages("owl", 150))
            fruit = list(found.everything(where="label=fruit"))
            assert [each async for each in search.everything(where="label=fruit")] == fruit
            assert str(await search.explain("owl")) == str(found.explain("owl"))
            assert await search.by_image(OWL, 1) == found.by_image(OWL, 1)
            assert await search.by_text("owl", 1) == found.by_text("owl", 1)
            words = [f"{word} {n}" for n in range(5) for word in ("owl", "dog", "car", "pear")]
            at_once = await asyncio.gather(*(search.find(word, limit=3) for word in words))
            assert at_once == [found.find(word, limit=3) for word in words]

    asyncio.run(ask())
