"""Labels as people write them, with or without descriptions, and what identifies each in the database."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from weaviate.util import generate_uuid5

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.schema import LABEL_COLLECTION
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.prompts import BLANK, PromptSet, fill_templates, normalize_text, select_prompt_set

MAX_LABELS = 10_000  # Weaviate's QUERY_MAXIMUM_RESULTS: a softmax needs the distance of every label
DESCRIPTION_COLON = re.compile("(.+?)(?:: |\uff1a) *(.+)")  # "16:9" is a name; the colon of Chinese needs no space
DESCRIPTION_SEPARATOR = re.compile(r"(?:^|\s)/(?=\s|$)")  # descriptions; "and/or" is none
LEADING_ARTICLE = re.compile("^(?:an?|the) ", re.IGNORECASE)
TRAILING_ARTICLE = re.compile(r"\b(?:an?|the) $", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Label:
    """One label and all that its vector depends on. `id` is the same in every run with the same model and prompts."""

    text: str
    prompts: tuple[str, ...]
    family: str  # digest of model and templates: labels of one family share a meaning of distance
    id: str
    prompt_set: str = ""  # its name
    version: str = ""  # and what its templates were
    said: str = ""  # as it was given, with its descriptions


def build_labels(texts: Sequence[str], templates: Sequence[str] | PromptSet | None, info: ModelInfo) -> list[Label]:
    """The labels in the order given. `templates` None: a set that suits each label's language and the model.

    A label may bring descriptions, as in `crane: a construction crane / a wading bird`: each goes into every template,
    in place of the name, and all are averaged. Raises InputError for labels or templates that cannot be used.
    """
    prompts = templates if isinstance(templates, PromptSet) else select_prompt_set(templates=templates)
    return [build_label(said, prompts.for_label(said, info.model), info) for said in check_labels(texts)]


def check_labels(texts: Sequence[str]) -> list[str]:
    """The labels without white space around them. Raises InputError: too few, too many, empty, twice, not text."""
    labels = [normalize_text(text) for text in texts]
    if "" in labels:
        raise InputError(f"label {labels.index('') + 1} of {len(labels)} is empty; remove it, or give it a name")
    first: dict[str, str] = {}
    for label in labels:
        name, _ = parse_label(label)
        if (twin := first.get(name.casefold())) is not None:  # models read upper and lower case alike
            raise InputError(f"the label {name!r} is given twice (first as {twin!r}); each may stand once")
        first[name.casefold()] = name
    if len(labels) < 2:
        given = "no labels" if not labels else "one label"
        raise InputError(f"{given} given; classification chooses between labels: give at least two")
    if len(labels) > MAX_LABELS:
        raise InputError(f"{len(labels)} labels given; at most {MAX_LABELS} can compete (Weaviate's result limit)")
    return labels


def parse_label(said: str) -> tuple[str, tuple[str, ...]]:
    """A label's name and its descriptions. Raises InputError for an empty one."""
    parts = DESCRIPTION_COLON.fullmatch(said)
    if parts is None:
        if said.endswith((":", "\uff1a")):
            raise InputError(f"the label {said!r} has a colon and no description; say one, or remove the colon")
        return said, ()
    descriptions = tuple(dict.fromkeys(part.strip() for part in DESCRIPTION_SEPARATOR.split(parts[2])))
    if "" in descriptions:
        raise InputError(f"the label {said!r} has an empty description; write it, or remove the '/'")
    return parts[1].rstrip(), descriptions


def build_label(said: str, prompts: PromptSet, info: ModelInfo) -> Label:
    text, descriptions = parse_label(said)
    family = str(generate_uuid5(json.dumps([info.revision, *sorted(set(prompts.templates))]), LABEL_COLLECTION))
    id = str(generate_uuid5(said, family))  # without descriptions `said` is the name
    return Label(text, build_prompts(prompts, text, descriptions), family, id, prompts.name, prompts.version, said)


def build_prompts(prompts: PromptSet, text: str, descriptions: Sequence[str]) -> tuple[str, ...]:
    if not descriptions:
        return fill_templates(prompts.templates, text)
    return tuple(fill_description(template, each) for template in prompts.templates for each in descriptions)


def fill_description(template: str, description: str) -> str:
    """`a photo of a {}` and `a wading bird` have one article together."""
    before, _, after = template.partition(BLANK)
    if TRAILING_ARTICLE.search(before):
        description = LEADING_ARTICLE.sub("", description)
    return before + description + after
