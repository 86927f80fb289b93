"""Batches into the store, with another try where it may help. Every change comes out as exactly one outcome."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from ingest.embed import Change
from ingest.items import Amendment, Fate, ImageObject, Outcome
from ingest.patience import NoProgress, Patience
from ingest.store import ImageStore, Refusal

Sent = TypeVar("Sent", ImageObject, Amendment)


class Refused(NoProgress):
    """All of a batch was refused for reasons that may pass."""

    def __init__(self, answer: Mapping[str, Refusal]) -> None:
        super().__init__(next(iter(answer.values())).reason)
        self.answer = answer


def upload(changes: Sequence[Change], store: ImageStore, patience: Patience) -> Iterator[Outcome]:
    objects = [change for change in changes if isinstance(change, ImageObject)]
    amendments = [change for change in changes if isinstance(change, Amendment)]
    if replaced := [item.key for item in objects if item.replaces]:
        patience.call(lambda: store.unlink(replaced))  # what was equal to them is so no longer
    refused = {**put_patiently(store.put, objects, patience), **put_patiently(store.amend, amendments, patience)}
    return (outcome(change, refused.get(change.key)) for change in changes)


def put_patiently(
    put: Callable[[Sequence[Sent]], Mapping[str, Refusal]], batch: Sequence[Sent], patience: Patience
) -> dict[str, Refusal]:
    """Sends `batch`, and again what may pass the next time. Answers what was refused for good, by key.

    Raises Unreachable when nobody came back, or took anything, before patience ended.
    """
    refused: dict[str, Refusal] = {}
    some_are_in = False
    while batch:
        try:
            answer = patience.call(lambda: some_accepted(put, batch), some_are_in)  # noqa: B023 - called at once
        except Refused as stuck:
            if patience.is_exhausted and not some_are_in:
                raise
            return refused | dict(stuck.answer)
        some_are_in = True
        refused |= {key: refusal for key, refusal in answer.items() if not refusal.passing}
        batch = [change for change in batch if change.key in answer and change.key not in refused]
    return refused


def some_accepted(
    put: Callable[[Sequence[Sent]], Mapping[str, Refusal]], batch: Sequence[Sent]
) -> Mapping[str, Refusal]:
    answer = put(batch)
    if len(answer) == len(batch) and all(refusal.passing for refusal in answer.values()):
        raise Refused(answer)
    return answer


def outcome(change: Change, refusal: Refusal | None) -> Outcome:
    if refusal:
        return Outcome(change.key, Fate.FAILED, refusal.reason, change.source)
    if isinstance(change, Amendment):
        return Outcome(change.key, Fate.UPDATED if change.facts else Fate.UNCHANGED, source=change.source)
    fate = Fate.UPDATED if change.replaces else Fate.ADDED
    return Outcome(change.key, fate, "", change.source, change.sha256, change.duplicate_of)
