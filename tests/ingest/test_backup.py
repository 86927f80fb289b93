"""Which collections a backup and a restore take, and what becomes of a task that ends badly."""

import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from weaviate.backup.backup import BackupStatus

from clip_vectorizer.database.backups import BackupTask, StoredBackup, TaskState
from clip_vectorizer.database.schema import CollectionDescription, StoredModel
from clip_vectorizer.errors import InputError, VectorizerError, WeaviateUnreachable
from ingest.backup import (
    choose_collections,
    choose_restored,
    name_some,
    outages_explained,
    run_task,
    suggest_backup_name,
)
from ingest.backup_command import format_bytes

OURS = CollectionDescription(StoredModel("emoji", "r1", 256, "p3")).to_json()
PRESENT = {
    "Image": SimpleNamespace(description=OURS),
    "Shop": SimpleNamespace(description=OURS),
    "ImageLabel": SimpleNamespace(description=OURS),
    "ImageLabelSet": SimpleNamespace(description=None),
    "Foreign": SimpleNamespace(description="another program's"),
}
LABELS = ["ImageLabel", "ImageLabelSet"]
STORED = StoredBackup("monday", ("Image", "ImageLabel", "ImageLabelSet", "Shop"), "SUCCESS", None, 1)


@dataclass
class ScriptedModule:
    """A backup module whose task goes through `states`; the last one stays."""

    states: list[BackupStatus]
    interrupted: bool = False
    cancelled: list[str] = field(default_factory=list)

    def start(self, task: BackupTask, name: str, collections: list[str]) -> None:
        if self.interrupted:
            raise KeyboardInterrupt

    def read_state(self, task: BackupTask, name: str) -> TaskState:
        status = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return TaskState(status, "no space left on device" if status is BackupStatus.FAILED else "", "/b", 3)

    def cancel(self, task: BackupTask, name: str) -> None:
        self.cancelled.append(name)


@dataclass
class Notes:
    """Obeys StepProgress."""

    details: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def step(self, sentence: str) -> None: ...

    def detail(self, words: str) -> None:
        self.details.append(words)

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


def test_without_a_name_everything_of_this_project_is_taken() -> None:
    assert choose_collections(PRESENT, ()) == ["Image", "Shop", *LABELS]


def test_labels_come_with_every_collection() -> None:
    assert choose_collections(PRESENT, ["Shop"]) == ["Shop", *LABELS]
    assert choose_collections(PRESENT, ["Foreign"]) == ["Foreign", *LABELS]


def test_regions_go_with_their_images() -> None:
    present = PRESENT | {"ShopRegion": SimpleNamespace(description=OURS)}
    assert choose_collections(present, ["Shop"]) == ["Shop", "ShopRegion", *LABELS]
    assert choose_collections(present, ["Image"]) == ["Image", *LABELS]
    stored = StoredBackup("monday", ("Image", "Shop", "ShopRegion"), "SUCCESS", None, 1)
    assert choose_restored(stored, ["Shop"], []) == (["Shop", "ShopRegion"], [])


def test_a_collection_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InputError, match="holds no collection Imaeg; did you mean Image\\? it has Foreign, Image, "):
        choose_collections(PRESENT, ["Shop", "Imaeg"])
    with pytest.raises(InputError, match="no collection of this project"):
        choose_collections({"Foreign": PRESENT["Foreign"]}, ())


def test_a_restore_takes_all_and_leaves_labels_that_exist() -> None:
    assert choose_restored(STORED, (), ["Foreign"]) == (["Image", "Shop", *LABELS], [])
    assert choose_restored(STORED, (), ["ImageLabel"]) == (["Image", "Shop", "ImageLabelSet"], ["ImageLabel"])
    assert choose_restored(STORED, ["Image"], ["Shop"]) == (["Image", *LABELS], [])


@pytest.mark.parametrize(
    ("wanted", "present", "sentence"),
    [
        ((), ["Shop"], "the collection Shop exists, .*DELETE .*/v1/schema/Shop.*only \\(--collection Image\\)"),
        ((), ["Shop", "Image"], "Image, Shop exist, and a restore never writes over a collection"),
        (["ImageLabel"], ["ImageLabel"], "the collection ImageLabel exists"),
        (["Shpo"], [], "the backup monday has no collection Shpo; did you mean Shop\\?"),
    ],
)
def test_a_restore_over_a_collection_is_refused(wanted: list[str], present: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        choose_restored(STORED, wanted, present)


def test_a_backup_of_labels_alone_is_refused_where_they_exist() -> None:
    labels = StoredBackup("labels", tuple(LABELS), "SUCCESS", None, 1)
    with pytest.raises(InputError, match="all collections of the backup labels exist"):
        choose_restored(labels, (), LABELS)


def test_a_name_is_made_of_the_collection_and_the_time() -> None:
    assert re.fullmatch(r"shop-\d{8}-\d{6}", suggest_backup_name([*LABELS, "Shop"]))
    assert re.fullmatch(r"images-\d{8}-\d{6}", suggest_backup_name(["Image", *LABELS, "Shop"]))


def test_many_collections_fit_one_line() -> None:
    assert name_some(["A", "B"]) == "A, B"
    assert name_some([f"Shop{number}" for number in range(9)]) == "Shop0, Shop1, Shop2, Shop3 and 5 more"


def test_a_task_is_followed_to_its_end() -> None:
    seen = Notes()
    module = ScriptedModule([BackupStatus.STARTED, BackupStatus.TRANSFERRING, BackupStatus.SUCCESS])
    assert run_task(module, BackupTask.CREATE, "monday", ["Image"], seen).size == 3
    assert seen.details == ["starting", "copying files"] and not module.cancelled


@pytest.mark.parametrize(
    ("task", "status", "sentence"),
    [
        (BackupTask.CREATE, BackupStatus.FAILED, "the backup monday failed: no space left on device; free some .*name"),
        (BackupTask.CREATE, BackupStatus.CANCELED, "the backup monday was cancelled: Weaviate gives no reason"),
        (BackupTask.RESTORE, BackupStatus.FAILED, "the restore of monday failed: no space left"),
    ],
)
def test_a_task_that_does_not_succeed_is_an_error(task: BackupTask, status: BackupStatus, sentence: str) -> None:
    with pytest.raises(VectorizerError, match=sentence):
        run_task(ScriptedModule([status]), task, "monday", ["Image"], Notes())


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        (BackupStatus.CANCELED, "the backup monday is cancelled"),
        (BackupStatus.SUCCESS, "the backup monday was complete before it could be cancelled"),
    ],
)
def test_ctrl_c_cancels_the_task_and_names_what_became_of_it(end: BackupStatus, sentence: str) -> None:
    seen, module = Notes(), ScriptedModule([BackupStatus.CANCELLING, end], interrupted=True)
    with pytest.raises(KeyboardInterrupt):
        run_task(module, BackupTask.CREATE, "monday", ["Image"], seen)
    assert module.cancelled == ["monday"] and seen.notes == [sentence]


def test_an_outage_is_explained_by_what_it_does_to_the_task() -> None:
    for task, fate in ((BackupTask.CREATE, "backup --list"), (BackupTask.RESTORE, "run the same command again")):
        with pytest.raises(WeaviateUnreachable, match=f"gone; a restart .*{fate}"), outages_explained(task):
            raise WeaviateUnreachable("gone")


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (999, "999 bytes"), (407_067, "407 kB"), (2e9, "2 GB")])
def test_sizes_have_three_digits(count: float, text: str) -> None:
    assert format_bytes(count) == text
