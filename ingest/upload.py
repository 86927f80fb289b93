"""Write batches to the store, with retries. Every change yields exactly one outcome."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from ingest.embed import StoreChange
from ingest.items import Amendment, ImageObject, ItemOutcome, RegionResult, Status
from ingest.retry import NoProgress, Patience
from ingest.store.base import ImageStore, Refusal

ChangeT = TypeVar("ChangeT", ImageObject, Amendment)


class BatchRefused(NoProgress):
    """All of a batch was refused for transient reasons."""

    def __init__(self, answer: Mapping[str, Refusal]) -> None:
        super().__init__(next(iter(answer.values())).reason)
        self.answer = answer


def upload(changes: Sequence[StoreChange], store: ImageStore, patience: Patience) -> Iterator[ItemOutcome]:
    """Write new objects and amendments. Yield an outcome for each. Raises Unreachable."""
    objects = [change for change in changes if isinstance(change, ImageObject)]
    amendments = [change for change in changes if isinstance(change, Amendment)]
    if replaced := [item.key for item in objects if item.replaces]:
        patience.call(lambda: store.unlink(replaced))  # duplicates of the old content are no longer equal to them
    refused = {**put_with_retries(store.put, objects, patience), **put_with_retries(store.amend, amendments, patience)}
    return (build_outcome(change, refused.get(change.key)) for change in changes)


def put_with_retries(
    put: Callable[[Sequence[ChangeT]], Mapping[str, Refusal]], batch: Sequence[ChangeT], patience: Patience
) -> dict[str, Refusal]:
    """Write `batch`, repeating what is refused for a transient reason. Return the final refusals by key.

    Raises Unreachable if the store stays away, or accepts nothing, until the patience ends.
    """
    refused: dict[str, Refusal] = {}
    some_are_in = False
    while batch:
        try:
            answer = patience.call(lambda: put_or_raise(put, batch), some_are_in)  # noqa: B023 - called at once
        except BatchRefused as stuck:
            if patience.is_exhausted and not some_are_in:
                raise
            return refused | dict(stuck.answer)
        some_are_in = True
        refused |= {key: refusal for key, refusal in answer.items() if not refusal.transient}
        batch = [change for change in batch if change.key in answer and change.key not in refused]
    return refused


def put_or_raise(
    put: Callable[[Sequence[ChangeT]], Mapping[str, Refusal]], batch: Sequence[ChangeT]
) -> Mapping[str, Refusal]:
    answer = put(batch)
    if len(answer) == len(batch) and all(refusal.transient for refusal in answer.values()):
        raise BatchRefused(answer)
    return answer


def build_outcome(change: StoreChange, refusal: Refusal | None) -> ItemOutcome:
    if refusal:
        return ItemOutcome(change.key, Status.FAILED, refusal.reason, change.source)
    made = change.regions if isinstance(change.regions, RegionResult) else RegionResult("")
    if isinstance(change, Amendment):
        status = Status.UPDATED if change.facts or change.regions else Status.UNCHANGED
        return ItemOutcome(change.key, status, source=change.source, regions=made.count, region_remark=made.remark)
    return ItemOutcome(
        change.key,
        Status.UPDATED if change.replaces else Status.ADDED,
        source=change.source,
        sha256=change.sha256,
        duplicate_of=change.duplicate_of,
        damage=change.damage,
        ignored_profile=change.ignored_profile,
        regions=made.count,
        region_remark=made.remark,
    )
