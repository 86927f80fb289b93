"""Back up and restore collections: choose them, start Weaviate's task, wait until it is done, cancel it on Ctrl-C.

Labels and label sets (`clip-classify`) are in collections of their own, which all collections of images share. So every
backup includes them; a restore leaves them alone where they exist. The regions of a collection go with it.
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from weaviate import WeaviateClient
from weaviate.backup.backup import BackupStatus
from weaviate.collections.classes.config import CollectionConfig

from clip_vectorizer.database.backups import BackupModule, BackupTask, StoredBackup, TaskState, explain
from clip_vectorizer.database.connection import weaviate_errors
from clip_vectorizer.database.regions import name_region_collection
from clip_vectorizer.database.schema import (
    LABEL_COLLECTION,
    LABEL_SET_COLLECTION,
    CollectionDescription,
    check_collection_name,
)
from clip_vectorizer.errors import InputError, Unreachable, VectorizerError
from clip_vectorizer.near_strings import did_you_mean
from clip_vectorizer.progress import SILENT, StepProgress

POLL_SECONDS = 0.5
SHOWN_NAMES = 4
LABELS = re.compile(f"{LABEL_SET_COLLECTION}|{LABEL_COLLECTION}(_[0-9A-Za-z]{{1,12}})?")  # as label_store.py names them
SEVERAL = "images"  # begins the name of a backup of more than one collection of images
CANCEL_SECONDS = 12.0  # Weaviate looks at what its nodes do every 10 s
TASK_NOUNS = {BackupTask.CREATE: "the backup", BackupTask.RESTORE: "the restore of"}
CANCEL_RESULTS = {
    BackupStatus.CANCELED: "is cancelled",
    BackupStatus.SUCCESS: "was complete before it could be cancelled",
    BackupStatus.FAILED: "had failed before it could be cancelled",
}
STATUS_WORDS = {
    BackupStatus.STARTED: "starting",
    BackupStatus.TRANSFERRING: "copying files",
    BackupStatus.TRANSFERRED: "files are copied",
    BackupStatus.FINALIZING: "creating the collections",
    BackupStatus.CANCELLING: "cancelling",
}


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """What a summary has of a collection. `objects` is None where they belong to tenants."""

    name: str
    objects: int | None
    tenants: int
    description: CollectionDescription | None  # None: it records no model


@dataclass(frozen=True, slots=True)
class BackupOutcome:
    """A backup or a restore that is done. `left`: collections of the backup that existed, and stay as they are."""

    name: str
    state: TaskState
    collections: tuple[StoredCollection, ...]
    seconds: float
    left: tuple[str, ...] = ()


def make_backup(
    client: WeaviateClient,
    url: str,
    module: BackupModule,
    name: str | None,
    wanted: Sequence[str],
    progress: StepProgress = SILENT,
) -> BackupOutcome:
    """Back up the collections `wanted`, else all of this project; either way with all labels and label sets.

    `name` None: made of the collection and the time. Raises InputError (no such collection, a name that is taken),
    VectorizerError with Weaviate's reason, Unreachable. KeyboardInterrupt cancels the backup first.
    """
    with weaviate_errors(url):
        configs = client.collections.list_all(simple=False)
        names = choose_collections(configs, wanted)
        name = name or suggest_backup_name(names)
        module.check_unused(name)
        collections = tuple(read_stored_collection(client, configs[each]) for each in names)
    began = time.monotonic()
    progress.step(f"backing up {name_some(names)}")
    state = run_task(module, BackupTask.CREATE, name, names, progress)
    return BackupOutcome(name, state, collections, time.monotonic() - began)


def restore_backup(
    client: WeaviateClient,
    url: str,
    module: BackupModule,
    name: str,
    wanted: Sequence[str],
    progress: StepProgress = SILENT,
) -> BackupOutcome:
    """Restore the collections `wanted` of a backup, else all that it has; either way with its labels and label sets.

    Nothing is started if one of them exists, except labels and label sets, which are left as they are. Raises as
    `make_backup`, and VectorizerError for a restored collection whose vector index is empty.
    """
    stored = module.find(name)
    check_complete(stored)
    with weaviate_errors(url):
        names, left = choose_restored(stored, wanted, list(client.collections.list_all()))
    began = time.monotonic()
    progress.step(f"restoring {name_some(names)}")
    state = run_task(module, BackupTask.RESTORE, name, names, progress)
    seconds = time.monotonic() - began
    with weaviate_errors(url):
        configs = [client.collections.use(each).config.get() for each in names]
        collections = tuple(read_stored_collection(client, config) for config in configs)
        for each in collections:
            check_vector_index(client, each)
    return BackupOutcome(name, state, collections, seconds, tuple(left))


def choose_collections(configs: dict[str, CollectionConfig], wanted: Sequence[str]) -> list[str]:
    """Raises InputError for a collection that Weaviate does not hold, or where it holds none of this project."""
    for each in wanted:
        check_collection_name(each)
        if each not in configs:
            raise InputError(f"Weaviate holds no collection {each}; {format_present(each, configs)}")
    labels = [each for each in configs if LABELS.fullmatch(each)]
    regions = [each for each in map(name_region_collection, wanted) if each in configs]
    chosen = (
        {*wanted, *regions, *labels} if wanted else {*filter(lambda each: describe(configs[each]), configs), *labels}
    )
    if not chosen:
        raise InputError("Weaviate holds no collection of this project; fill one with `clip-ingest FOLDER`")
    return order_names(chosen)


def choose_restored(stored: StoredBackup, wanted: Sequence[str], present: Sequence[str]) -> tuple[list[str], list[str]]:
    """The names to restore, and those of labels and label sets that exist. Raises InputError."""
    for each in wanted:
        if each not in stored.collections:
            raise InputError(f"the backup {stored.name} has no collection {each}; {format_present(each, stored)}")
    named = {*wanted, *map(name_region_collection, wanted)}
    chosen = [each for each in stored.collections if not wanted or each in named or LABELS.fullmatch(each)]
    existing = [each for each in chosen if each in present]
    names = order_names(each for each in chosen if each not in existing)
    if refused := [each for each in existing if each in wanted or not LABELS.fullmatch(each)]:
        raise InputError(refuse_overwriting(refused, names))
    if not names:
        raise InputError(f"all collections of the backup {stored.name} exist: {', '.join(existing)}; delete one first")
    return names, existing


def order_names(names: Iterable[str]) -> list[str]:
    """Collections of images first, then labels: as a summary lists them."""
    return sorted(names, key=lambda each: (bool(LABELS.fullmatch(each)), each))


def name_some(names: Sequence[str]) -> str:
    """As many as fit one line of a terminal.

    >>> name_some(["A", "B", "C", "D", "E", "F"])
    'A, B, C, D and 2 more'
    """
    more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
    return f"{', '.join(names[:SHOWN_NAMES])}{more}"


def refuse_overwriting(existing: Sequence[str], others: Sequence[str]) -> str:
    images = [each for each in others if not LABELS.fullmatch(each)]
    rest = f", or restore the others only ({' '.join(f'--collection {each}' for each in images)})" if images else ""
    exists = f"the collection {existing[0]} exists" if len(existing) == 1 else f"{', '.join(existing)} exist"
    return (
        f"{exists}, and a restore never writes over a collection; delete it first "
        f"(curl -X DELETE $WEAVIATE_URL/v1/schema/{existing[0]}){rest}"
    )


def format_present(name: str, holder: StoredBackup | dict[str, CollectionConfig]) -> str:
    names = sorted(holder.collections if isinstance(holder, StoredBackup) else holder)
    return f"{did_you_mean(name, names)}it has {', '.join(names) or 'none'}"


def describe(config: CollectionConfig) -> CollectionDescription | None:
    return CollectionDescription.from_json(config.description)


def suggest_backup_name(names: Sequence[str]) -> str:
    """Of the one collection of images, else `images`, and the time (UTC): `image-20261129-201500`."""
    images = [each for each in names if not LABELS.fullmatch(each)]
    subject = images[0].lower() if len(images) == 1 else SEVERAL
    return f"{subject}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def check_complete(stored: StoredBackup) -> None:
    if stored.status != BackupStatus.SUCCESS:
        raise InputError(
            f"the backup {stored.name} is not complete ({stored.status}), so it cannot be restored; "
            "`clip-ingest backup --list` shows the others"
        )


def read_stored_collection(client: WeaviateClient, config: CollectionConfig) -> StoredCollection:
    """A count needs no tenant to be activated."""
    collection = client.collections.use(config.name)
    if config.multi_tenancy_config.enabled:
        return StoredCollection(config.name, None, len(collection.tenants.get()), describe(config))
    count = collection.aggregate.over_all(total_count=True).total_count
    return StoredCollection(config.name, count or 0, 0, describe(config))


def check_vector_index(client: WeaviateClient, stored: StoredCollection) -> None:
    """Raises VectorizerError where no vector of a collection can be found: a backup made in the second of its first
    insert lacks its vector index. Tenants are not looked at, since that would activate them.
    """
    collection = client.collections.use(stored.name)
    if not stored.objects or not (first := collection.query.fetch_objects(limit=1, include_vector=True).objects):
        return
    for name, vector in first[0].vector.items():
        if not collection.query.near_vector(vector, limit=1, target_vector=name).objects:
            raise VectorizerError(
                f"{stored.name} is restored, but its vector index {name} is empty, so no search finds its objects: the "
                "backup was made in the second of the first insert; delete the collection, and restore another backup "
                "or fill it again"
            )


def run_task(
    module: BackupModule, task: BackupTask, name: str, collections: Sequence[str], progress: StepProgress
) -> TaskState:
    with cancelled_by_interrupt(module, task, name, progress):
        module.start(task, name, collections)
        with outages_explained(task):
            state = wait_until_done(lambda: module.read_state(task, name), progress)
    if state.status is not BackupStatus.SUCCESS:
        raise VectorizerError(describe_failure(task, name, state))
    return state


def wait_until_done(read: Callable[[], TaskState], progress: StepProgress) -> TaskState:
    """Poll until the task has ended, well or not."""
    while (state := read()).status in STATUS_WORDS:
        progress.detail(STATUS_WORDS[state.status])
        time.sleep(POLL_SECONDS)
    return state


def describe_failure(task: BackupTask, name: str, state: TaskState) -> str:
    happened = "was cancelled" if state.status is BackupStatus.CANCELED else "failed"
    again = "; make another one, with another name" if task is BackupTask.CREATE else ""
    return f"{TASK_NOUNS[task]} {name} {happened}: {explain(state.reason) or 'Weaviate gives no reason'}{again}"


@contextmanager
def cancelled_by_interrupt(module: BackupModule, task: BackupTask, name: str, progress: StepProgress) -> Iterator[None]:
    """On Ctrl-C Weaviate is to stop as well, not only the command that waits for it."""
    try:
        yield
    except KeyboardInterrupt:
        progress.note(f"{TASK_NOUNS[task]} {name} {cancel(module, task, name)}")
        raise


def cancel(module: BackupModule, task: BackupTask, name: str) -> str:
    """Return what became of the task, as the end of a sentence."""
    try:
        module.cancel(task, name)
        deadline = time.monotonic() + CANCEL_SECONDS
        while (state := module.read_state(task, name)).status in STATUS_WORDS and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    except VectorizerError as error:
        return f"is not cancelled: {error}"
    return CANCEL_RESULTS.get(state.status, "is being cancelled by Weaviate")


@contextmanager
def outages_explained(task: BackupTask) -> Iterator[None]:
    """Add to Unreachable what becomes of the task.

    Waiting for Weaviate would be wrong: one that was restarted reports the last state that it had stored, for ever.
    """
    try:
        yield
    except Unreachable as error:
        fate = (
            "a restart of Weaviate ends the backup: `clip-ingest backup --list` shows whether it is there"
            if task is BackupTask.CREATE
            else "a restart of Weaviate ends the restore; run the same command again"
        )
        raise type(error)(f"{error}; {fate}") from error
