"""What a search would send, as text: all of its steps but the last are run."""

import os
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from PIL import Image

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
    EmbedImage,
    EmbedTexts,
    SearchPlan,
    SearchStep,
    SearchTarget,
    WeaviateCall,
)
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

    @property
    def python(self) -> str:
        """Python lines to paste where `client` is a connected WeaviateClient; they leave the answer in `found`."""
        return python_source(self.call, self.target, python_literal)

    @property
    def graphql(self) -> str | None:
        """The query that finds the same at /v1/graphql; None where GraphQL has no such query."""
        return graphql_source(self.call, self.target, graphql_literal)

    def __str__(self) -> str:
        texts = (*self.steps, *self.notes)
        comments = [f"# {line}" for text in texts for line in wrap(text, LINE_WIDTH - 2, subsequent_indent="  ")]
        lines = python_source(self.call, self.target, shorten_values(python_literal))
        query = graphql_source(self.call, self.target, shorten_values(graphql_literal))
        return "\n".join([*comments, lines, "", query or NOT_IN_GRAPHQL])


def build_explanation(search: PlannedSearch, target: SearchTarget) -> Explanation:
    """Build the explanation of a search that stopped before its last call."""
    steps, notes = map(describe_step, search.steps), list_notes(search.plan, search.last_call)
    return Explanation(search.last_call, target, tuple(steps), tuple(notes))


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
