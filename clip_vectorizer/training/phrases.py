"""Phrase queries: what people look for without naming it, each with all concepts that answer it."""

from dataclasses import dataclass
from importlib.resources import files

from clip_vectorizer.errors import TrainingDataError

QUERY_FILE = "phrase_queries.txt"


@dataclass(frozen=True, slots=True)
class PhraseQuery:
    """A phrase that names no concept, and its right answers."""

    language: str  # `en` or `zh`
    kind: str  # what the phrase goes by, such as `use` or `place`
    text: str
    answers: tuple[str, ...]  # English names of concepts, each once


def load_phrase_queries() -> list[PhraseQuery]:
    """Return the queries of the package, in the order of their file."""
    return parse_phrase_queries(files("clip_vectorizer.training").joinpath(QUERY_FILE).read_text(encoding="utf-8"))


def parse_phrase_queries(text: str) -> list[PhraseQuery]:
    """Parse blocks of `language | kind | phrase` and answers; lines that begin with # are comments.

    Raises TrainingDataError for a block that is none.
    """
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [parse_phrase_query(block) for block in lines.split("\n\n") if block.strip()]


def parse_phrase_query(block: str) -> PhraseQuery:
    heading, *lines = block.strip().splitlines()
    fields = tuple(field.strip() for field in heading.split("|"))
    answers = tuple(name.strip() for line in lines for name in line.split(";"))
    if len(fields) != 3 or not all(fields) or not answers or not all(answers):
        raise TrainingDataError(
            f"phrase query {heading!r}: expected `language | kind | phrase`, then names separated by semicolons"
        )
    return PhraseQuery(*fields, answers)
