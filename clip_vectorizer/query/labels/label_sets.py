"""Named label sets: remembered in the database by an object for each time that labels came to one.

Such a part is written when all its labels are there. None is ever changed, so two processes that add to a set at once
both do.

Named label sets in a real Weaviate: an object for each part of one, in one collection for all models.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, Protocol

from weaviate import WeaviateClient
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.util import generate_uuid5

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.database.collections import ensure_label_set_collection
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.schema import (
    ENTRIES,
    LABEL_IDS,
    LABEL_SET_COLLECTION,
    MODEL,
    NAME,
    PROMPT_SET,
    PROMPT_VERSION,
    REVISION,
    TEMPLATES,
)
from clip_vectorizer.errors import InputError, Mismatch, VectorizerError
from clip_vectorizer.query.labels.label import Label, build_labels, parse_label
from clip_vectorizer.query.near_strings import did_you_mean
from clip_vectorizer.query.prompts import PromptSet, normalize_text

MAX_PARTS = 10_000  # Weaviate's limit for one answer, and as many as a set can have labels
CREATION_TIME = MetadataQuery(creation_time=True)


@dataclass(frozen=True, slots=True)
class LabelSet:
    name: str
    model: str  # what it was called then; the revision decides
    revision: str
    prompts: PromptSet
    said: tuple[str, ...]  # the labels as they were given, with descriptions
    label_ids: tuple[str, ...] = ()


class LabelSetStore(Protocol):
    def get(self, name: str) -> LabelSet | None: ...
    def names(self) -> list[str]: ...
    def put(self, part: LabelSet) -> None:
        """Adds its labels to the set of its name, or makes the set, by one write that takes nothing away."""


def merge_parts(parts: Sequence[LabelSet]) -> LabelSet | None:
    """The set that `parts`, the earliest first, make: the first says with what model and prompts."""
    if not parts:
        return None
    first = parts[0]
    taken: dict[str, tuple[str, str]] = {}
    for part in parts:
        if (part.revision, part.prompts.version) == (first.revision, first.prompts.version):
            for said, id in zip_longest(part.said, part.label_ids, fillvalue=""):
                taken.setdefault(parse_label(said)[0].casefold(), (said, id))
    pairs = taken.values()
    return replace(first, said=tuple(said for said, _ in pairs), label_ids=tuple(id for _, id in pairs))


def resolve_label_set(
    name: str, said: Sequence[str], prompts: PromptSet, info: ModelInfo, sets: LabelSetStore
) -> tuple[list[Label], LabelSet | None]:
    """The labels of the set `name`, `said` among them; and what is to be put once they are stored, if anything.

    Raises InputError (no such set, other prompts, labels that cannot be used), Mismatch (a set of another model).
    """
    name = check_set_name(name)
    held = sets.get(name)
    if held is None and not said:
        raise build_unknown_set_error(name, sets.names())
    before = held or LabelSet(name, info.model, info.revision, prompts, ())
    check_set_matches(before, prompts, info)
    fresh = find_new_labels(before, said)
    labels = build_labels((*before.said, *fresh), before.prompts, info)
    if not fresh:
        return labels, None
    return labels, replace(before, said=tuple(fresh), label_ids=tuple(label.id for label in labels[-len(fresh) :]))


def store_part(part: LabelSet, sets: LabelSetStore) -> None:
    """Raises InputError where another process made the set meanwhile, and these labels do not go with that one."""
    sets.put(part)
    held = sets.get(part.name)
    if held is None or find_new_labels(held, part.said):
        raise InputError(
            f"the label set {part.name} was made with other prompts or another model meanwhile; run this again"
        )


def list_set_labels(name: str, sets: LabelSetStore) -> list[str]:
    """The labels of a set as they were given, with descriptions. Raises InputError when there is no such set."""
    held = sets.get(check_set_name(name))
    if held is None:
        raise build_unknown_set_error(name, sets.names())
    return list(held.said)


def check_set_name(name: str) -> str:
    name = normalize_text(name)
    if not name:
        raise InputError("the label set has an empty name; give it one, for example birds")
    return name


def build_unknown_set_error(name: str, names: Sequence[str]) -> InputError:
    there = f"there are {', '.join(sorted(names))}" if names else "there are none yet"
    meant = did_you_mean(name, names)
    return InputError(f"no label set is called {name!r}; {meant}{there}: --labels A,B with --label-set makes one")


def check_set_matches(held: LabelSet, prompts: PromptSet, info: ModelInfo) -> None:
    if held.revision != info.revision:
        raise Mismatch(
            f"the label set {held.name} was made with the model {held.model} (revision {held.revision}), but the "
            f"sidecar runs {info.model} (revision {info.revision}); start the sidecar with the first model, or make "
            f"a set of another name for this one (--label-set {held.name}2 --labels ...)"
        )
    if not prompts.is_automatic and prompts.version != held.prompts.version:
        raise InputError(
            f"the label set {held.name} has the prompts {held.prompts.name}, not {prompts.name}; leave the prompts "
            f"away, or make a set of another name (--label-set {held.name}2 --labels ...)"
        )


def find_new_labels(held: LabelSet, said: Sequence[str]) -> list[str]:
    """Those of `said` that the set lacks. Raises InputError for a label that it has with other descriptions."""
    there = {parse_label(each)[0].casefold(): each for each in held.said}
    fresh: list[str] = []
    for each in map(normalize_text, said):
        twin = there.get(parse_label(each)[0].casefold()) if each else None
        if twin is None:
            fresh.append(each)
        elif twin.casefold() != each.casefold():
            raise InputError(f"the label set {held.name} has {twin!r} already, not {each!r}; take another set or name")
    return fresh


def compute_set_id(labels: Sequence[Label], name: str = "") -> str:
    """What `predicted_by` says: `birds@0a1b2c3d`, the digest being of the labels, their prompts and the model."""
    listed = "\n".join(sorted(label.id for label in labels))
    digest = hashlib.blake2b(listed.encode(), digest_size=4).hexdigest()
    return f"{name}@{digest}" if name else digest


class WeaviateLabelSets:
    """A LabelSetStore. The collection is made with the first set."""

    def __init__(self, client: WeaviateClient, url: str) -> None:
        self._client, self._url = client, url
        self._collection = client.collections.use(LABEL_SET_COLLECTION)

    def get(self, name: str) -> LabelSet | None:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return None
            named = Filter.by_property(NAME).equal(name)
            found = self._collection.query.fetch_objects(filters=named, limit=MAX_PARTS, return_metadata=CREATION_TIME)
        earliest = sorted(found.objects, key=lambda row: (row.metadata.creation_time, row.uuid))
        return merge_parts([part_from_properties(row.properties) for row in earliest])

    def names(self) -> list[str]:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return []
            found = self._collection.query.fetch_objects(limit=MAX_PARTS, return_properties=[NAME])
        return list(dict.fromkeys(str(row.properties[NAME]) for row in found.objects))

    def put(self, part: LabelSet) -> None:
        row: DataObject[dict[str, Any], None] = DataObject(
            uuid=compute_part_id(part), properties=part_to_properties(part)
        )
        with weaviate_errors(self._url):
            ensure_label_set_collection(self._client)
            answer = self._collection.data.insert_many([row])  # the same part again is the same object
        if answer.errors:
            reason = next(iter(answer.errors.values())).message
            raise VectorizerError(f"Weaviate did not store the label set {part.name}: {reason}")


def compute_part_id(part: LabelSet) -> str:
    return str(generate_uuid5(json.dumps(part_to_properties(part), sort_keys=True), LABEL_SET_COLLECTION))


def part_to_properties(label_set: LabelSet) -> dict[str, Any]:
    return {
        NAME: label_set.name,
        MODEL: label_set.model,
        REVISION: label_set.revision,
        PROMPT_SET: label_set.prompts.name,
        PROMPT_VERSION: label_set.prompts.version,
        TEMPLATES: list(label_set.prompts.templates),
        ENTRIES: list(label_set.said),
        LABEL_IDS: list(label_set.label_ids),
    }


def part_from_properties(row: Mapping[str, Any]) -> LabelSet:
    prompts = PromptSet(row[PROMPT_SET], tuple(row[TEMPLATES] or ()))
    return LabelSet(
        row[NAME], row[MODEL], row[REVISION], prompts, tuple(row[ENTRIES] or ()), tuple(row[LABEL_IDS] or ())
    )
