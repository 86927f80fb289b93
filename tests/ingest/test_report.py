import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ingest.items import ItemOutcome, Status
from ingest.listing import ListingProgress
from ingest.report import IngestReport
from ingest.retry import RetryWait
from ingest.sources.base import SkippedFile


def report_of(*outcomes: ItemOutcome) -> IngestReport:
    report = IngestReport()
    for event in (
        *outcomes,
        ListingProgress(len(outcomes)),
        ListingProgress(0, complete=True),
        SkippedFile("notes.md"),
    ):
        report.take(event)
    return report


MIXED = report_of(
    ItemOutcome("a", Status.ADDED),
    ItemOutcome("b", Status.UPDATED),
    ItemOutcome("c", Status.UNCHANGED),
    ItemOutcome("d", Status.FAILED, "broken"),
)


@given(st.lists(st.sampled_from(list(Status))))
def test_the_numbers_add_up_to_what_was_seen(statuses: list[Status]) -> None:
    told = report_of(*(ItemOutcome(str(number), status) for number, status in enumerate(statuses))).as_json()
    assert told["seen"] == len(statuses) == told["added"] + told["updated"] + told["unchanged"] + told["failed"]


def test_json_holds_the_numbers_and_the_failures_by_name() -> None:
    told = json.loads(json.dumps(replace(MIXED, seconds=1.23456).as_json()))
    assert [told[name] for name in ("seen", "added", "updated", "unchanged", "failed", "skipped")] == [4, 1, 1, 1, 1, 1]
    assert told["failures"] == [{"path": "d", "reason": "broken"}] and told["seconds"] == 1.235
    assert told["duplicates"] == told["pruned"] == 0 and told["near_duplicates"] == []


def test_the_exit_code_is_3_when_some_failed_and_0_otherwise() -> None:
    assert MIXED.exit_code == 3 and report_of(ItemOutcome("a", Status.ADDED)).exit_code == 0


def test_the_summary_is_one_sentence() -> None:
    assert MIXED.summary().startswith("4 images: 1 added, 1 updated, 1 unchanged, 1 failed, in ")
    assert MIXED.summary().endswith("; 1 other file skipped") and "equal" not in MIXED.summary()


def test_the_summary_counts_duplicates_and_removed_images() -> None:
    report = report_of(ItemOutcome("a", Status.ADDED, sha256="x", duplicate_of="b"))
    report.pruned = 2
    assert report.summary().startswith("1 image: ")
    assert "; 1 of them equal to another; 2 vanished ones removed;" in report.summary()


def test_what_is_taken_back_moves_to_failed() -> None:
    sent = ItemOutcome("a", Status.UPDATED, sha256="x", duplicate_of="b")
    report = report_of(sent)
    failed = report.take_back(sent, "lost")
    assert (report.updated, report.duplicates, report.failed, report.done) == (0, 0, 1, 1)
    assert (failed.key, failed.status, failed.reason) == ("a", Status.FAILED, "lost")


def test_it_waits_until_something_happens() -> None:
    report = IngestReport()
    report.take(RetryWait("nobody there"))
    assert report.waiting == "nobody there"
    report.take(ItemOutcome("a", Status.ADDED))
    assert not report.waiting


def test_it_is_complete_when_all_has_been_listed() -> None:
    report = IngestReport()
    report.take(ListingProgress(1))
    assert not report.complete
    report.take(ListingProgress(0, complete=True))
    assert report.complete
