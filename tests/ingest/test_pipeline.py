import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError, Unreachable
from ingest.pipeline import LOOK_UP, IngestSettings, ingest
from ingest.report import IngestReport
from ingest.store import Refusal
from ingest.uploads import UploadLimits
from tests.ingest.fakes import FakeStore, ForgetfulStore, png, write

SMALL = IngestSettings(workers=2, uploads=UploadLimits(batch_objects=3, retry_seconds=()))


def run(folder: Path, store: FakeStore) -> IngestReport:
    return ingest([folder], store, settings=SMALL)


def numbers(report: IngestReport) -> tuple[int, int, int, int, int]:
    return report.seen, report.added, report.updated, report.unchanged, report.failed


def test_a_first_run_adds_all_and_a_second_uploads_nothing(tmp_path: Path) -> None:
    for i in range(10):
        write(tmp_path / "cats" / f"{i}.png", png((i, 0, 0)))
    store = FakeStore()
    assert numbers(run(tmp_path, store)) == (10, 10, 0, 0, 0)
    sent = len(store.batches)
    assert numbers(run(tmp_path, store)) == (10, 0, 0, 10, 0) and len(store.batches) == sent


def test_what_changed_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / f"{i}.png", png((i, 0, 0)))
    store = FakeStore()
    run(tmp_path, store)
    write(tmp_path / "0.png", png((99, 0, 0)))
    write(tmp_path / "1.txt", "a new caption")
    assert numbers(run(tmp_path, store)) == (3, 0, 2, 1, 0)
    assert store.objects["1.png"].fingerprint.caption == "a new caption"


def test_a_corrupt_file_is_named_and_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path / "a" / "good.png", png())
    write(tmp_path / "a" / "bad.png", b"no image")
    report = run(tmp_path, FakeStore())
    assert numbers(report) == (2, 1, 0, 0, 1) and report.exit_code == 3
    assert report.failures[0].key == "a/bad.png" and "not an image" in report.failures[0].reason


def test_an_object_that_the_store_loses_is_sent_once_more(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.png", png((i, 0, 0)))
    store = ForgetfulStore(lost="2.png", times=1)
    assert numbers(run(tmp_path, store)) == (4, 4, 0, 0, 0) and len(store.objects) == 4


def test_an_object_that_the_store_loses_again_counts_as_failed(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.png", png((i, 0, 0)))
    report = run(tmp_path, ForgetfulStore(lost="2.png", times=9))
    assert numbers(report) == (4, 3, 0, 0, 1)
    assert report.failures[0].key == "2.png" and "does not hold it" in report.failures[0].reason


def test_stored_state_is_asked_for_in_bulk(tmp_path: Path) -> None:
    for i in range(LOOK_UP + 1):
        write(tmp_path / f"{i}.png", b"no image")
    store = FakeStore()
    run(tmp_path, store)
    assert store.lookups == 2


def test_a_listener_hears_of_every_file(tmp_path: Path) -> None:
    for i in range(5):
        write(tmp_path / f"{i}.png", png((i, 0, 0)))
    heard: list[int] = []
    ingest([tmp_path], FakeStore(), lambda report: heard.append(report.done), SMALL)
    assert heard == [0, 1, 2, 3, 4, 5, 5]


def test_a_store_that_is_away_ends_the_run_and_the_next_run_completes_it(tmp_path: Path) -> None:
    for i in range(8):
        write(tmp_path / f"{i}.png", png((i, 0, 0)))
    store = FakeStore(away=1)
    with pytest.raises(Unreachable):
        run(tmp_path, store)
    held = len(store.objects)
    assert numbers(run(tmp_path, store)) == (8, 8 - held, 0, held, 0)


def test_nothing_is_sent_when_one_source_is_wrong(tmp_path: Path) -> None:
    write(tmp_path / "good" / "x.png", png())
    store = FakeStore()
    with pytest.raises(InputError, match="nowhere"):
        ingest([tmp_path / "good", tmp_path / "nowhere"], store, settings=SMALL)
    assert not store.batches


KINDS = st.lists(st.sampled_from(["new", "held", "changed", "corrupt", "empty", "refused"]), min_size=1, max_size=20)


@settings(max_examples=25, deadline=None)
@given(KINDS)
def test_the_numbers_add_up_for_any_mix_of_files(kinds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = FakeStore(lambda item: Refusal("no") if "refused" in item.key else None)
        for i, kind in enumerate(kinds):
            if kind in ("held", "changed"):
                write(folder / f"{i}-{kind}.png", png((i, 0, 0)))
        if any(kind in ("held", "changed") for kind in kinds):
            run(folder, store)
        contents = {"corrupt": b"no image", "empty": b"", "changed": png((0, 7, 0))}
        for i, kind in enumerate(kinds):
            write(folder / f"{i}-{kind}.png", contents.get(kind, png((i, 0, 0))))
        report = run(folder, store)
        bad = sum(kind in ("corrupt", "empty", "refused") for kind in kinds)
        assert numbers(report) == (len(kinds), kinds.count("new"), kinds.count("changed"), kinds.count("held"), bad)
        assert report.seen == report.added + report.updated + report.unchanged + report.failed
