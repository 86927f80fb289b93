"""The search of a page as a command, as Python, and as GraphQL, to copy: what `clip-search --explain` knows."""

from dataclasses import dataclass

import click
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from clip_vectorizer.errors import VectorizerError
from clip_vectorizer.gallery.address import Address
from clip_vectorizer.gallery.labels import size_page
from clip_vectorizer.gallery.pages import GalleryPages
from clip_vectorizer.gallery.results import read_request
from clip_vectorizer.query.async_image_search import AsyncImageSearch
from clip_vectorizer.query.cli.search_actions import split_group_arguments
from clip_vectorizer.query.cli.search_request import ListCommandRequest, SearchCommandRequest
from clip_vectorizer.query.explain import Explanation

LISTING = "This page lists images by the database's own cursor, and searches for nothing; its command does the same."
NO_GRAPHQL = "GraphQL has no such query: it has no diversity, and no groups of a search by words and vectors."


@dataclass(frozen=True, slots=True)
class ExplanationPart:
    """One way to run the same search."""

    id: str
    title: str
    about: str
    text: str


class ExplanationPages(GalleryPages):
    """/explain, with the parameters of a page."""

    @property
    def routes(self) -> list[Route]:
        return [Route("/explain", self.show)]

    async def show(self, request: Request) -> Response:
        address = Address()
        try:
            address = Address.parse(request.url.query)
            search = await self.gallery.connection.open(address)
            sized = size_page(address)
            asked = read_request(sized, self.gallery.uploads, search)
            explanation = None if isinstance(asked, ListCommandRequest) else await explain(asked, search)
        except (VectorizerError, click.UsageError) as error:
            return await self.respond_to_error(error, address=address)
        return self.render(
            "explain.html",
            200,
            address,
            parts=[ExplanationPart("shell", "Shell", "", self.format_command(sized)), *list_parts(explanation)],
            notes=(*explanation.steps, *explanation.notes) if explanation else (LISTING,),
            problem=NO_GRAPHQL if explanation and explanation.graphql is None else "",
        )


async def explain(request: SearchCommandRequest, search: AsyncImageSearch) -> Explanation:
    arguments = request.arguments.copy()
    arguments["include_thumbnail"] = False  # most of a response's bytes, and no one reads base64
    if request.group_by is None:
        return await search.explain(request.query, **arguments)
    groups, arguments = split_group_arguments(request)
    arguments["include_thumbnail"] = False
    return await search.explain_groups(request.query, request.group_by, request.per_group, groups, **arguments)


def list_parts(explanation: Explanation | None) -> list[ExplanationPart]:
    if explanation is None:
        return []
    python = ExplanationPart(
        "python", "Python", "client is a connected WeaviateClient; the answer is in found.", explanation.python
    )
    if explanation.graphql is None or explanation.curl is None:
        return [python]
    return [
        python,
        ExplanationPart("graphql", "GraphQL", "For /v1/graphql.", explanation.graphql),
        ExplanationPart("curl", "curl", "With WEAVIATE_URL and WEAVIATE_API_KEY set.", explanation.curl),
    ]
