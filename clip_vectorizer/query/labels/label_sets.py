"""Named label sets: each time labels are added to a set, one object, a part, is added to the database.

A part is written after all its labels are stored, and parts are never changed, so two processes can add to the same
set at the same time. One collection holds the sets of all models.
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
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.query.labels.label_store import Label, build_labels, parse_label
from clip_vectorizer.query.labels.page_kinds import BUILT_IN_SETS
from clip_vectorizer.query.prompts import PromptSet, normalize_text

MAX_PARTS = 10_000  # Weaviate's limit for one answer; also the largest number of labels in a set
CREATION_TIME = MetadataQuery(creation_time=True)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """A whole set, or one part of it."""

    name: str
    model: str  # its name at that time; only the revision is compared
    revision: str
    prompts: PromptSet
    entries: tuple[str, ...]  # the labels as the user wrote them, with descriptions
    label_ids: tuple[str, ...] = ()


class LabelSetStore(Protocol):
    def get(self, name: str) -> LabelSet | None: ...
    def names(self) -> list[str]: ...
    def put(self, part: LabelSet) -> None:
        """Add the part's labels to the set with its name, or create the set, by one write that removes nothing."""


def resolve_label_set(
    name: str, entries: Sequence[str], prompts: PromptSet, info: ModelInfo, sets: LabelSetStore
) -> tuple[list[Label], LabelSet | None]:
    """Return the labels of the set `name`, including `entries`; and the part to store after them, if any are new.

    Raises InputError (no such set, other prompts, invalid labels), Mismatch (a set of another model).
    """
    name = check_set_name(name)
    stored = sets.get(name)
    before = stored or build_built_in(name, prompts, info)
    if before is None and not entries:
        raise build_unknown_set_error(name, sets.names())
    before = before or LabelSet(name, info.model, info.revision, prompts, ())
    check_set_matches(before, prompts, info)
    new = find_new_labels(before, entries)
    labels = build_labels((*before.entries, *new), before.prompts, info)
    if not new:
        return labels, None
    added = labels[-len(new) :] if stored else labels  # the first part of a set has all of its labels
    return labels, replace(
        before, entries=tuple(label.entry for label in added), label_ids=tuple(label.id for label in added)
    )


def build_built_in(name: str, prompts: PromptSet, info: ModelInfo) -> LabelSet | None:
    """Return the set that comes with the project under this name, with its prompts unless others are given."""
    built_in = BUILT_IN_SETS.get(name)
    if built_in is None:
        return None
    chosen = built_in.prompts if prompts.is_automatic else prompts
    return LabelSet(name, info.model, info.revision, chosen, built_in.entries)


def store_part(part: LabelSet, sets: LabelSetStore) -> None:
    """Store a part. Raises InputError if another process has created the set with other prompts or another model."""
    sets.put(part)
    stored = sets.get(part.name)
    if stored is None or find_new_labels(stored, part.entries):
        raise InputError(
            f"the label set {part.name} was created with other prompts or another model in the meantime; run this again"
        )


def list_set_labels(name: str, sets: LabelSetStore) -> list[str]:
    """Return the labels of a set as the user wrote them, with descriptions. Raises InputError for an unknown set."""
    name = check_set_name(name)
    found = sets.get(name) or BUILT_IN_SETS.get(name)
    if found is None:
        raise build_unknown_set_error(name, sets.names())
    return list(found.entries)


def check_set_name(name: str) -> str:
    name = normalize_text(name)
    if not name:
        raise InputError("the label set has an empty name; give it one, for example birds")
    return name


def build_unknown_set_error(name: str, names: Sequence[str]) -> InputError:
    known = sorted({*names, *BUILT_IN_SETS})
    existing = f"there {'are' if len(known) > 1 else 'is'} {', '.join(known)}"
    return InputError(
        f"no label set is called {name!r}; {did_you_mean(name, known)}{existing}: "
        "--labels A,B with --label-set creates one"
    )


def check_set_matches(stored: LabelSet, prompts: PromptSet, info: ModelInfo) -> None:
    """Raise Mismatch for a set of another model, InputError for a set with other prompts."""
    if stored.revision != info.revision:
        raise Mismatch(
            f"the label set {stored.name} was made with the model {stored.model} (revision {stored.revision}), but the "
            f"sidecar runs {info.model} (revision {info.revision}); start the sidecar with the first model, or create "
            f"a set of another name for this one (--label-set {stored.name}2 --labels ...)"
        )
    if not prompts.is_automatic and prompts.version != stored.prompts.version:
        raise InputError(
            f"the label set {stored.name} has the prompts {stored.prompts.name}, not {prompts.name}; remove the "
            f"prompts, or create a set of another name (--label-set {stored.name}2 --labels ...)"
        )


def find_new_labels(stored: LabelSet, entries: Sequence[str]) -> list[str]:
    """Return the entries that the set lacks. Raises InputError for a label that it has with other descriptions."""
    by_name = {parse_label(each)[0].casefold(): each for each in stored.entries}
    new: list[str] = []
    for entry in map(normalize_text, entries):
        twin = by_name.get(parse_label(entry)[0].casefold()) if entry else None
        if twin is None:
            new.append(entry)
        elif twin.casefold() != entry.casefold():
            raise InputError(
                f"the label set {stored.name} has {twin!r} already, not {entry!r}; use another set or another name"
            )
    return new


def compute_set_id(labels: Sequence[Label], name: str = "") -> str:
    """Return the value of `predicted_by`, `birds@0a1b2c3d`: the name and a digest of labels, prompts and model."""
    listed = "\n".join(sorted(label.id for label in labels))
    digest = hashlib.blake2b(listed.encode(), digest_size=4).hexdigest()
    return f"{name}@{digest}" if name else digest


def merge_parts(parts: Sequence[LabelSet]) -> LabelSet | None:
    """Return the set made of `parts`, earliest first. The first part decides model and prompts."""
    if not parts:
        return None
    first = parts[0]
    by_name: dict[str, tuple[str, str]] = {}
    for part in parts:
        if (part.revision, part.prompts.version) == (first.revision, first.prompts.version):
            for entry, id in zip_longest(part.entries, part.label_ids, fillvalue=""):
                by_name.setdefault(parse_label(entry)[0].casefold(), (entry, id))
    pairs = by_name.values()
    return replace(first, entries=tuple(entry for entry, _ in pairs), label_ids=tuple(id for _, id in pairs))


class WeaviateLabelSets:
    """A LabelSetStore in Weaviate. The first `put` creates the collection."""

    def __init__(self, client: WeaviateClient, url: str) -> None:
        self._client, self._url = client, url
        self._collection = client.collections.use(LABEL_SET_COLLECTION)

    def get(self, name: str) -> LabelSet | None:
        with weaviate_errors(self._url):
            if not self._client.collections.exists(LABEL_SET_COLLECTION):
                return None
            by_name = Filter.by_property(NAME).equal(name)
            found = self._collection.query.fetch_objects(
                filters=by_name, limit=MAX_PARTS, return_metadata=CREATION_TIME
            )
        rows = sorted(found.objects, key=lambda row: (row.metadata.creation_time, row.uuid))
        return merge_parts([part_from_properties(row.properties) for row in rows])

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
        ENTRIES: list(label_set.entries),
        LABEL_IDS: list(label_set.label_ids),
    }


def part_from_properties(row: Mapping[str, Any]) -> LabelSet:
    prompts = PromptSet(row[PROMPT_SET], tuple(row[TEMPLATES] or ()))
    return LabelSet(
        row[NAME], row[MODEL], row[REVISION], prompts, tuple(row[ENTRIES] or ()), tuple(row[LABEL_IDS] or ())
    )
