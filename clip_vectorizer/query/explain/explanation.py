"""What a search would send, without the last step being taken."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from PIL import Image

from clip_vectorizer.query.explain import source_code
from clip_vectorizer.query.explain.source_code import LINE_WIDTH, SourceNode, SourceTree
from clip_vectorizer.query.image_inputs import ImageInput
from clip_vectorizer.query.search.calls import SearchPlan, SearchTarget
from clip_vectorizer.query.search.searches import PlannedSearch, build_first_call, needs_similarity_filter
from clip_vectorizer.query.search.steps import EmbedImage, EmbedTexts, SearchStep, WeaviateCall

SHOWN_NUMBERS = 3  # of a vector, where a person reads it
SHOWN_LETTERS = 50
NOT_IN_GRAPHQL = "# GraphQL cannot say this: it has no diversity, and no groups of a hybrid search"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`print(search.explain("owl"))` is for people: long vectors and texts are shortened there, nowhere else."""

    call: WeaviateCall  # weaviate-client's method and its arguments
    searched: SearchTarget
    steps: tuple[str, ...]  # what was asked before: of the sidecar, and of Weaviate for stored vectors
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """Lines that can be pasted where `client` is a connected WeaviateClient."""
        return source_code.python_source(self.call, self.searched, source_code.python_literal)

    @property
    def graphql(self) -> str | None:
        """The query that finds the same at /v1/graphql; None where GraphQL cannot say it."""
        return source_code.graphql_source(self.call, self.searched, source_code.graphql_literal)

    def __str__(self) -> str:
        said = [
            line for text in (*self.steps, *self.notes) for line in wrap(text, LINE_WIDTH - 2, subsequent_indent="  ")
        ]
        lines = source_code.python_source(self.call, self.searched, shorten_values(source_code.python_literal))
        query = source_code.graphql_source(self.call, self.searched, shorten_values(source_code.graphql_literal))
        return "\n".join([*(f"# {line}" for line in said), lines, "", query or NOT_IN_GRAPHQL])


def build_explanation(search: PlannedSearch, searched: SearchTarget) -> Explanation:
    """Build the explanation of a search that stopped before its last call."""
    call = search.grouping or build_first_call(search.plan)
    return Explanation(call, searched, tuple(map(describe_step, search.steps)), tuple(list_notes(search.plan, call)))


def list_notes(plan: SearchPlan, call: WeaviateCall) -> list[str]:
    question, notes = plan.question, []
    if call.method == "near_text":
        notes.append("Weaviate asks its own sidecar for the vector of the text")
    if question.diversity is not None and question.offset:
        notes.append(f"of these, the first {question.offset} are left out here")
    if "group_by" in call.arguments:
        if question.fold:
            notes.append("equal images of a group are folded here")
        return notes
    if needs_similarity_filter(question):
        notes.append(f"what is less near than {question.min_similarity:g} is left out here, and more is asked for")
    if question.fold:
        notes.append(f"equal images are folded here, and more is asked for until {question.limit} differ")
    return notes


def describe_step(step: SearchStep) -> str:
    match step:
        case EmbedTexts(texts):
            return f"the sidecar makes vectors of: {', '.join(repr(text) for text in texts)}"
        case EmbedImage(image):
            return f"the sidecar makes a vector of {describe_image(image)}"
    return "Weaviate gives the vectors that are stored with the images named"


def describe_image(image: ImageInput) -> str:
    if isinstance(image, Image.Image):
        return f"a PIL image of {image.width} x {image.height}"
    return f"{len(image)} bytes" if isinstance(image, bytes) else os.fspath(image)


def shorten_values(write: Callable[[Any], SourceNode]) -> Callable[[Any], SourceNode]:
    """`write` for people."""

    def short(value: Any) -> SourceNode:
        if isinstance(value, list) and len(value) > SHOWN_NUMBERS and isinstance(value[0], float):
            return f"[{', '.join(f'{number:.4f}' for number in value[:SHOWN_NUMBERS])}, ... {len(value)} numbers]"
        if isinstance(value, list):
            return SourceTree("[", [short(each) for each in value], "]")
        if isinstance(value, str) and len(value) > SHOWN_LETTERS:
            return write(value[: SHOWN_LETTERS - 3] + "...")
        return write(value)

    return short
