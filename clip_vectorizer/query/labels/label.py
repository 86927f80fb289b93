"""Labels as users write them, with or without descriptions, and their ids in the database.

>>> parse_label("crane: a construction crane / a wading bird")
('crane', ('a construction crane', 'a wading bird'))
"""

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
DESCRIPTION_COLON = re.compile("(.+?)(?:: |\uff1a) *(.+)")  # "16:9" is a name; a Chinese colon needs no space
DESCRIPTION_SEPARATOR = re.compile(r"(?:^|\s)/(?=\s|$)")  # between descriptions, not inside "and/or"
LEADING_ARTICLE = re.compile("^(?:an?|the) ", re.IGNORECASE)
TRAILING_ARTICLE = re.compile(r"\b(?:an?|the) $", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Label:
    """One label and everything its vector depends on. `id` is the same in each run with the same model and prompts."""

    text: str  # the name, without descriptions
    prompts: tuple[str, ...]
    family: str  # digest of model and templates: distances of labels of one family are comparable
    id: str
    prompt_set: str = ""  # name of the prompt set
    version: str = ""  # digest of its templates
    entry: str = ""  # as the user wrote it, with descriptions


def build_labels(texts: Sequence[str], templates: Sequence[str] | PromptSet | None, info: ModelInfo) -> list[Label]:
    """Return the labels in the given order. `templates` None: a set that suits each label's language and the model.

    A label may have descriptions, as in `crane: a construction crane / a wading bird`: each is put into every template
    in place of the name, and the vectors are averaged. Raises InputError for invalid labels or templates.
    """
    prompts = templates if isinstance(templates, PromptSet) else select_prompt_set(templates=templates)
    return [build_label(entry, prompts.for_label(entry, info.model), info) for entry in check_labels(texts)]


def check_labels(texts: Sequence[str]) -> list[str]:
    """Return the labels without surrounding white space.

    Raises InputError for too few or too many labels, an empty or repeated one, and one that is not text.

    >>> check_labels([" cat", "dog"])
    ['cat', 'dog']
    """
    labels = [normalize_text(text) for text in texts]
    if "" in labels:
        raise InputError(f"label {labels.index('') + 1} of {len(labels)} is empty; remove it, or give it a name")
    first: dict[str, str] = {}
    for label in labels:
        name, _ = parse_label(label)
        if (twin := first.get(name.casefold())) is not None:  # models read upper and lower case alike
            raise InputError(f"the label {name!r} is given twice (first as {twin!r}); remove one")
        first[name.casefold()] = name
    if len(labels) < 2:
        given = "no labels" if not labels else "one label"
        raise InputError(f"{given} given; classification chooses between labels: give at least two")
    if len(labels) > MAX_LABELS:
        raise InputError(f"{len(labels)} labels given; at most {MAX_LABELS} can compete (Weaviate's result limit)")
    return labels


def parse_label(entry: str) -> tuple[str, tuple[str, ...]]:
    """Split a label into its name and descriptions. Raises InputError for an empty description."""
    parts = DESCRIPTION_COLON.fullmatch(entry)
    if parts is None:
        if entry.endswith((":", "\uff1a")):
            raise InputError(f"the label {entry!r} has a colon and no description; add one, or remove the colon")
        return entry, ()
    descriptions = tuple(dict.fromkeys(part.strip() for part in DESCRIPTION_SEPARATOR.split(parts[2])))
    if "" in descriptions:
        raise InputError(f"the label {entry!r} has an empty description; write it, or remove the '/'")
    return parts[1].rstrip(), descriptions


def build_label(entry: str, prompts: PromptSet, info: ModelInfo) -> Label:
    text, descriptions = parse_label(entry)
    family = str(generate_uuid5(json.dumps([info.revision, *sorted(set(prompts.templates))]), LABEL_COLLECTION))
    id = str(generate_uuid5(entry, family))  # without descriptions `entry` is the name
    return Label(text, build_prompts(prompts, text, descriptions), family, id, prompts.name, prompts.version, entry)


def build_prompts(prompts: PromptSet, text: str, descriptions: Sequence[str]) -> tuple[str, ...]:
    if not descriptions:
        return fill_templates(prompts.templates, text)
    return tuple(fill_description(template, each) for template in prompts.templates for each in descriptions)


def fill_description(template: str, description: str) -> str:
    """Fill a template with a description; of two articles in a row, drop the second.

    >>> fill_description("a photo of a {}", "a wading bird")
    'a photo of a wading bird'
    """
    before, _, after = template.partition(BLANK)
    if TRAILING_ARTICLE.search(before):
        description = LEADING_ARTICLE.sub("", description)
    return before + description + after
