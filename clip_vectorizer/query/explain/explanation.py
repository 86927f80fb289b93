"""What a search would send, as text: all of its steps but the last are run."""

import json
import os
import shlex
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from PIL import Image

from clip_vectorizer.defaults import MAX_RESULTS
from clip_vectorizer.query.explain.source_code import (
    LINE_WIDTH,
    SourceNode,
    SourceTree,
    ValueWriter,
    graphql_literal,
    graphql_source,
    python_literal,
    python_source,
)
from clip_vectorizer.query.image_inputs import ImageInput, hide_secrets
from clip_vectorizer.query.search.calls import (
    CutCorner,
    EmbedImage,
    EmbedTexts,
    OpenRegions,
    RegionPlan,
    SearchPlan,
    SearchStep,
    SearchTarget,
    WeaviateCall,
)
from clip_vectorizer.query.search.corners import RERANKED
from clip_vectorizer.query.search.results import needs_similarity_filter
from clip_vectorizer.query.search.searches import PlannedSearch

SHOWN_NUMBERS = 3  # of a vector, in print()
SHOWN_LETTERS = 50  # of a text, in print()
NOT_IN_GRAPHQL = "# not possible in GraphQL: it has no diversity, and no groups of a hybrid search"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a search sends. `print(search.explain("owl"))` shortens long vectors and texts; the properties do not."""

    call: WeaviateCall  # weaviate-client's method and its arguments
    target: SearchTarget
    steps: tuple[str, ...]  # steps before the call: requests to the sidecar, and to Weaviate for stored vectors
    notes: tuple[str, ...] = ()  # what happens to the results afterwards
    others: tuple["TargetedCall", ...] = ()  # further calls, of a search with regions

    @property
    def python(self) -> str:
        """Python lines to paste where `client` is a connected WeaviateClient; they leave the answer in `found`.

        Where there are further calls, each block of lines is one, and leaves its own answer.
        """
        return "\n\n".join(python_source(each.call, each.target, python_literal) for each in self._calls)

    @property
    def graphql(self) -> str | None:
        """The query that finds the same at /v1/graphql, one for each call; None where GraphQL has no such query."""
        queries = self._queries
        return "\n\n".join(queries) if queries else None

    @property
    def curl(self) -> str | None:
        """Commands for a shell that send `graphql`, one for each call; None where GraphQL has no such query.

        They take the address and the key of Weaviate from WEAVIATE_URL and WEAVIATE_API_KEY.
        """
        queries = self._queries
        return "\n\n".join(map(format_curl, queries)) if queries else None

    @property
    def _queries(self) -> list[str]:
        """The queries of all calls, none where one of them is not possible."""
        queries = [graphql_source(each.call, each.target, graphql_literal) for each in self._calls]
        return [query for query in queries if query] if all(queries) else []

    @property
    def _calls(self) -> tuple["TargetedCall", ...]:
        return TargetedCall(self.call, self.target), *self.others

    def __str__(self) -> str:
        texts = (*self.steps, *self.notes)
        comments = [f"# {line}" for text in texts for line in wrap(text, LINE_WIDTH - 2, subsequent_indent="  ")]
        blocks: list[str] = []
        for each in self._calls:
            query = graphql_source(each.call, each.target, shorten_values(graphql_literal))
            lines = python_source(each.call, each.target, shorten_values(python_literal))
            blocks += ["" for _ in blocks[:1]] + [lines, "", query or NOT_IN_GRAPHQL]
        return "\n".join([*comments, *blocks])


@dataclass(frozen=True, slots=True)
class TargetedCall:
    """A call, and the collection that it is sent to."""

    call: WeaviateCall
    target: SearchTarget


def format_curl(query: str) -> str:
    """Return a command for a POSIX shell.

    >>> print(format_curl('{ Get { Image { path } } }'))
    curl -s "$WEAVIATE_URL/v1/graphql" -H "Authorization: Bearer $WEAVIATE_API_KEY" \\
      -H "Content-Type: application/json" -d '{"query": "{ Get { Image { path } } }"}'
    """
    body = shlex.quote(json.dumps({"query": query}, ensure_ascii=False))
    return (
        'curl -s "$WEAVIATE_URL/v1/graphql" -H "Authorization: Bearer $WEAVIATE_API_KEY" \\\n'
        f'  -H "Content-Type: application/json" -d {body}'
    )


def build_explanation(search: PlannedSearch, target: SearchTarget) -> Explanation:
    """Build the explanation of a search that stopped before its last call."""
    steps = tuple(map(describe_step, search.steps))
    if regions := search.plan.regions:
        first, *others = (
            TargetedCall(call, regions.target if call.collection else target)
            for call in (search.last_call, *search.region_calls)
        )
        return Explanation(first.call, first.target, steps, tuple(list_region_notes(regions)), tuple(others))
    return Explanation(search.last_call, target, steps, tuple(list_notes(search.plan, search.last_call)))


def list_region_notes(regions: RegionPlan) -> list[str]:
    first = "a filter is about regions alone, so that only regions count" if regions.only else "two searches"
    score = (
        "its best region's similarity" if regions.only else "the larger of the whole picture's and its best region's"
    )
    ordered = [f"the client puts the nearest {RERANKED} in order by their rules too"] if regions.line_grid else []
    return [
        *ordered,
        f"{first}; an image's similarity is {score}",
        f"the client fetches more regions until enough images have one (up to {MAX_RESULTS:,}), then by the same "
        "search, filtered by ids and paths, the images of these regions and the best boxes of each hit",
    ]


def list_notes(plan: SearchPlan, call: WeaviateCall) -> list[str]:
    request, notes = plan.request, []
    if call.method == "near_text":
        notes.append("Weaviate has its own sidecar embed the text")
    if request.diversity is not None and request.offset:
        notes.append(f"the client then drops the first {request.offset} results")
    if "group_by" in call.arguments:
        if request.deduplicate:
            notes.append("the client then merges equal images of a group")
        return notes
    if needs_similarity_filter(request):
        notes.append(f"the client then drops hits below similarity {request.min_similarity:g}, and fetches more")
    if request.deduplicate:
        notes.append(f"the client then merges equal images, and fetches more until {request.limit} differ")
    return notes


def describe_step(step: SearchStep) -> str:
    match step:
        case EmbedTexts(texts):
            return f"the sidecar embeds: {', '.join(repr(text) for text in texts)}"
        case EmbedImage(image):
            return f"the sidecar embeds {describe_image(image)}"
        case CutCorner(image, _):
            return f"the rules of {describe_image(image)} are measured"
        case OpenRegions():
            return "Weaviate returns the schema of the regions"
    return "Weaviate returns the vectors of the stored images"


def describe_image(image: ImageInput) -> str:
    if isinstance(image, Image.Image):
        return f"a PIL image of {image.width} x {image.height}"
    return f"{len(image)} bytes" if isinstance(image, bytes) else hide_secrets(os.fspath(image))


def shorten_values(write: ValueWriter) -> ValueWriter:
    """Return a writer like `write` that shortens long texts and vectors."""

    def short(value: Any) -> SourceNode:
        if isinstance(value, list) and len(value) > SHOWN_NUMBERS and isinstance(value[0], float):
            return f"[{', '.join(f'{number:.4f}' for number in value[:SHOWN_NUMBERS])}, ... {len(value)} numbers]"
        if isinstance(value, list):
            return SourceTree("[", [short(each) for each in value], "]")
        if isinstance(value, str) and len(value) > SHOWN_LETTERS:
            return write(value[: SHOWN_LETTERS - 3] + "...")
        return write(value)

    return short
