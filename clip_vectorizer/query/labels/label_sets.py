"""Named label sets: remembered in the database by an object for each time that labels came to one.

Such a part is written when all its labels are there. None is ever changed, so two processes that add to a set at once
both do.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Protocol

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.labels.label import Label, described, label_set
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.prompt_sets import PromptSet
from clip_vectorizer.query.prompts import plain


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


def merged(parts: Sequence[LabelSet]) -> LabelSet | None:
    """The set that `parts`, the earliest first, make: the first says with what model and prompts."""
    if not parts:
        return None
    first = parts[0]
    taken: dict[str, tuple[str, str]] = {}
    for part in parts:
        if (part.revision, part.prompts.version) == (first.revision, first.prompts.version):
            for said, id in zip_longest(part.said, part.label_ids, fillvalue=""):
                taken.setdefault(described(said)[0].casefold(), (said, id))
    pairs = taken.values()
    return replace(first, said=tuple(said for said, _ in pairs), label_ids=tuple(id for _, id in pairs))


def named_labels(
    name: str, said: Sequence[str], prompts: PromptSet, info: ModelInfo, sets: LabelSetStore
) -> tuple[list[Label], LabelSet | None]:
    """The labels of the set `name`, `said` among them; and what is to be put once they are stored, if anything.

    Raises InputError (no such set, other prompts, labels that cannot be used), Mismatch (a set of another model).
    """
    name = checked_name(name)
    held = sets.get(name)
    if held is None and not said:
        raise unknown(name, sets.names())
    before = held or LabelSet(name, info.model, info.revision, prompts, ())
    check_set(before, prompts, info)
    fresh = added(before, said)
    labels = label_set((*before.said, *fresh), before.prompts, info)
    if not fresh:
        return labels, None
    return labels, replace(before, said=tuple(fresh), label_ids=tuple(label.id for label in labels[-len(fresh) :]))


def put_part(part: LabelSet, sets: LabelSetStore) -> None:
    """Raises InputError where another process made the set meanwhile, and these labels do not go with that one."""
    sets.put(part)
    held = sets.get(part.name)
    if held is None or added(held, part.said):
        raise InputError(
            f"the label set {part.name} was made with other prompts or another model meanwhile; run this again"
        )


def labels_in(name: str, sets: LabelSetStore) -> list[str]:
    """The labels of a set as they were given, with descriptions. Raises InputError when there is no such set."""
    held = sets.get(checked_name(name))
    if held is None:
        raise unknown(name, sets.names())
    return list(held.said)


def checked_name(name: str) -> str:
    name = plain(name)
    if not name:
        raise InputError("the label set has an empty name; give it one, for example birds")
    return name


def unknown(name: str, names: Sequence[str]) -> InputError:
    there = f"there are {', '.join(sorted(names))}" if names else "there are none yet"
    meant = did_you_mean(name, names)
    return InputError(f"no label set is called {name!r}; {meant}{there}: --labels A,B with --label-set makes one")


def check_set(held: LabelSet, prompts: PromptSet, info: ModelInfo) -> None:
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


def added(held: LabelSet, said: Sequence[str]) -> list[str]:
    """Those of `said` that the set lacks. Raises InputError for a label that it has with other descriptions."""
    there = {described(each)[0].casefold(): each for each in held.said}
    fresh: list[str] = []
    for each in map(plain, said):
        twin = there.get(described(each)[0].casefold()) if each else None
        if twin is None:
            fresh.append(each)
        elif twin.casefold() != each.casefold():
            raise InputError(f"the label set {held.name} has {twin!r} already, not {each!r}; take another set or name")
    return fresh


def set_id(labels: Sequence[Label], name: str = "") -> str:
    """What `predicted_by` says: `birds@0a1b2c3d`, the digest being of the labels, their prompts and the model."""
    listed = "\n".join(sorted(label.id for label in labels))
    digest = hashlib.blake2b(listed.encode(), digest_size=4).hexdigest()
    return f"{name}@{digest}" if name else digest
