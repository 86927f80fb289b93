"""What a search would send, without the last step being taken."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from PIL import Image

from clip_vectorizer.query.explaining import graphql, python
from clip_vectorizer.query.explaining.layout import WIDTH, Node, Tree
from clip_vectorizer.query.pictures import Picture
from clip_vectorizer.query.searching.calls import Plan, Searched
from clip_vectorizer.query.searching.finding import far_ones_among, first_call
from clip_vectorizer.query.searching.searches import PlannedSearch
from clip_vectorizer.query.searching.steps import Call, EmbedImage, EmbedTexts, Step

SHOWN_NUMBERS = 3  # of a vector, where a person reads it
SHOWN_LETTERS = 50
NOT_IN_GRAPHQL = "# GraphQL cannot say this: it has no diversity, and no groups of a hybrid search"


@dataclass(frozen=True, slots=True)
class Explanation:
    """`print(search.explain("owl"))` is for people: long vectors and texts are shortened there, nowhere else."""

    call: Call  # weaviate-client's method and its arguments
    searched: Searched
    steps: tuple[str, ...]  # what was asked before: of the sidecar, and of Weaviate for stored vectors
    notes: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """Lines that can be pasted where `client` is a connected WeaviateClient."""
        return python.python_source(self.call, self.searched, python.literal)

    @property
    def graphql(self) -> str | None:
        """The query that finds the same at /v1/graphql; None where GraphQL cannot say it."""
        return graphql.graphql_source(self.call, self.searched, graphql.literal)

    def __str__(self) -> str:
        said = [line for text in (*self.steps, *self.notes) for line in wrap(text, WIDTH - 2, subsequent_indent="  ")]
        lines = python.python_source(self.call, self.searched, shortened(python.literal))
        query = graphql.graphql_source(self.call, self.searched, shortened(graphql.literal))
        return "\n".join([*(f"# {line}" for line in said), lines, "", query or NOT_IN_GRAPHQL])


def explained(search: PlannedSearch, searched: Searched) -> Explanation:
    """Build the explanation of a search that stopped before its last call."""
    call = search.grouping or first_call(search.plan)
    return Explanation(call, searched, tuple(map(told, search.steps)), tuple(notes_on(search.plan, call)))


def notes_on(plan: Plan, call: Call) -> list[str]:
    question, notes = plan.question, []
    if call.method == "near_text":
        notes.append("Weaviate asks its own sidecar for the vector of the text")
    if question.diversity is not None and question.offset:
        notes.append(f"of these, the first {question.offset} are left out here")
    if "group_by" in call.arguments:
        if question.fold:
            notes.append("equal images of a group are folded here")
        return notes
    if far_ones_among(question):
        notes.append(f"what is less near than {question.min_similarity:g} is left out here, and more is asked for")
    if question.fold:
        notes.append(f"equal images are folded here, and more is asked for until {question.limit} differ")
    return notes


def told(step: Step) -> str:
    match step:
        case EmbedTexts(texts):
            return f"the sidecar makes vectors of: {', '.join(repr(text) for text in texts)}"
        case EmbedImage(image):
            return f"the sidecar makes a vector of {name_of(image)}"
    return "Weaviate gives the vectors that are stored with the images named"


def name_of(image: Picture) -> str:
    if isinstance(image, Image.Image):
        return f"a PIL image of {image.width} x {image.height}"
    return f"{len(image)} bytes" if isinstance(image, bytes) else os.fspath(image)


def shortened(write: Callable[[Any], Node]) -> Callable[[Any], Node]:
    """`write` for people."""

    def short(value: Any) -> Node:
        if isinstance(value, list) and len(value) > SHOWN_NUMBERS and isinstance(value[0], float):
            return f"[{', '.join(f'{number:.4f}' for number in value[:SHOWN_NUMBERS])}, ... {len(value)} numbers]"
        if isinstance(value, list):
            return Tree("[", [short(each) for each in value], "]")
        if isinstance(value, str) and len(value) > SHOWN_LETTERS:
            return write(value[: SHOWN_LETTERS - 3] + "...")
        return write(value)

    return short
