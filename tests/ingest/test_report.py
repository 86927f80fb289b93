import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.listing import ListingProgress, Selection
from ingest.pipeline import IngestSettings, ingest
from ingest.report import FailedItems, IngestReport, ReportFile
from ingest.retry import RetryWait
from ingest.sources.base import SkippedFile
from tests.ingest.fakes import BROKEN, FakeStore, ListSource, pictures, png


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
    fields = report_of(*(ItemOutcome(str(number), status) for number, status in enumerate(statuses))).as_json()
    assert (
        fields["seen"] == len(statuses) == fields["added"] + fields["updated"] + fields["unchanged"] + fields["failed"]
    )


def test_json_holds_the_numbers_and_the_failures_by_name() -> None:
    fields = json.loads(json.dumps(replace(MIXED, seconds=1.23456).as_json()))
    assert [fields[name] for name in ("seen", "added", "updated", "unchanged", "failed", "skipped")] == [
        4,
        1,
        1,
        1,
        1,
        1,
    ]
    assert fields["failures"] == [{"path": "d", "reason": "broken"}] and fields["seconds"] == 1.235
    assert fields["duplicates"] == fields["pruned"] == 0 and fields["near_duplicates"] == []


def test_the_exit_code_is_3_when_some_failed_and_0_otherwise() -> None:
    assert MIXED.exit_code == 3 and report_of(ItemOutcome("a", Status.ADDED)).exit_code == 0


def test_the_summary_is_one_sentence() -> None:
    assert MIXED.summary().startswith("4 images: 1 added, 1 updated, 1 unchanged, 1 failed, in ")
    assert MIXED.summary().endswith("; 1 other file skipped") and "equal" not in MIXED.summary()


def test_text_that_no_image_uses_is_counted_and_named(tmp_path: Path) -> None:
    dropped = SkippedFile("a.tar::x.txt", "belongs to no image", "/a.tar")
    with ReportFile(tmp_path / "r.jsonl", lambda _: None) as lines:
        report = report_of()
        for event in (dropped, SkippedFile("notes.md"), replace(dropped, key="a.tar::y.txt")):
            report.take(event)
            lines(report, event)
    assert report.summary().endswith("; 4 other files skipped, 2 of them text that no image uses (a.tar::x.txt, ...)")
    assert (report.as_json()["dropped"], report.exit_code) == (2, 0)
    written = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert [(line["key"], line["status"]) for line in written] == [
        ("a.tar::x.txt", "skipped"),
        ("a.tar::y.txt", "skipped"),
    ]
    assert written[0]["reason"] == "belongs to no image" and FailedItems.read(tmp_path / "r.jsonl").sources == ()


def test_the_summary_counts_duplicates_and_removed_images() -> None:
    report = report_of(ItemOutcome("a", Status.ADDED, sha256="x", duplicate_of="b"))
    report.pruned = 2
    assert report.summary().startswith("1 image: ")
    assert "; 1 of them equal to another; 2 vanished ones removed;" in report.summary()


def test_an_outcome_taken_back_moves_to_failed() -> None:
    sent = ItemOutcome("a", Status.UPDATED, sha256="x", duplicate_of="b")
    report = report_of(sent)
    failed = report.take_back(sent, "lost")
    assert (report.updated, report.duplicates, report.failed, report.done) == (0, 0, 1, 1)
    assert (failed.key, failed.status, failed.reason) == ("a", Status.FAILED, "lost")


def test_it_waits_until_something_happens() -> None:
    report = IngestReport()
    report.take(RetryWait("connection refused"))
    assert report.waiting == "connection refused"
    report.take(ItemOutcome("a", Status.ADDED))
    assert not report.waiting


def test_it_is_complete_when_all_has_been_listed() -> None:
    report = IngestReport()
    report.take(ListingProgress(1))
    assert not report.complete
    report.take(ListingProgress(0, complete=True))
    assert report.complete


# --- the report file


def silent(_: str) -> None:
    pass


def written(file: Path, *outcomes: ItemOutcome) -> list[dict[str, str]]:
    with ReportFile(file, silent) as report:
        for outcome in outcomes:
            report(IngestReport(), outcome)
        report(IngestReport(), "something else")
    assert not report.problem
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def item(key: str, source: str = "/photos") -> SourceItem:
    [found] = ListSource({key: b""}, source)
    assert isinstance(found, SourceItem)
    return found


def test_every_image_has_a_line_with_its_result(tmp_path: Path) -> None:
    source = ListSource({"a": png(), "b": BROKEN})
    with ReportFile(tmp_path / "r.jsonl", silent) as report:
        ingest([source], FakeStore(), None, report, IngestSettings(patience_seconds=0))
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert {(line["key"], line["status"], line["source"]) for line in lines} == {
        ("a", "added", "/photos"),
        ("b", "failed", "/photos"),
    }
    assert ["not an image" in line["reason"] for line in lines if line["key"] == "b"] == [True]


def test_a_lost_upload_has_one_line_with_the_failure(tmp_path: Path) -> None:
    sent = ItemOutcome("a", Status.ADDED, source="/photos", sha256="x")
    assert written(tmp_path / "r.jsonl", sent, ItemOutcome("a", Status.FAILED, "lost", "/photos")) == [
        {"key": "a", "status": "failed", "reason": "lost", "source": "/photos"}
    ]


def test_a_report_that_cannot_be_created_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--report .*nowhere.* cannot be written"):
        ReportFile(tmp_path / "nowhere" / "r.jsonl", silent)


@pytest.mark.parametrize("count", [1, 2000])
def test_a_full_disk_is_reported_once_and_stops_nothing(count: int) -> None:
    complaints: list[str] = []
    with ReportFile(Path("/dev/full"), complaints.append) as report:
        for number in range(count):
            report(IngestReport(), ItemOutcome(f"{number}", Status.FAILED, "broken"))
    assert report.problem and len(complaints) == 1
    assert "/dev/full is incomplete (No space left on device)" in complaints[0]


def test_after_an_error_the_report_has_the_results_so_far(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), ReportFile(tmp_path / "r.jsonl", silent) as report:
        report(IngestReport(), ItemOutcome("a", Status.ADDED, sha256="x"))
        report(IngestReport(), ItemOutcome("b", Status.FAILED, "broken"))
        raise KeyboardInterrupt
    assert {json.loads(line)["key"] for line in (tmp_path / "r.jsonl").read_text().splitlines()} == {"a", "b"}


# --- reading it back


ODD = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1)


@given(st.sets(ODD), st.sets(ODD))
def test_names_of_any_kind_come_back_from_the_report(bad: set[str], good: set[str]) -> None:
    bad = {name for name in bad if not name.startswith(("/", "#", "::"))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "r.jsonl"
        failures = [ItemOutcome(name, Status.FAILED, "broken \x85\u2028\n", "/photos") for name in bad]
        written(file, *failures, *(ItemOutcome(name, Status.ADDED, "", "/photos", "x") for name in good - bad))
        failed = FailedItems.read(file)
    assert failed.keys == bad and failed.sources == (("/photos",) if bad else ())
    assert all(failed.has(item(name)) for name in bad)


def test_a_name_that_is_not_utf8_is_written_as_json_writes_it(tmp_path: Path) -> None:
    [line] = written(tmp_path / "r.jsonl", ItemOutcome("a", Status.FAILED, "no \udce9", "/caf\udce9"))
    assert line["source"] == "/caf\udce9" and FailedItems.read(tmp_path / "r.jsonl").sources == ("/caf\udce9",)


def test_a_retry_takes_the_failed_items_alone(tmp_path: Path) -> None:
    source, store = ListSource(pictures(5)), FakeStore()
    source.files["0003.png"].data = BROKEN
    with ReportFile(tmp_path / "r.jsonl", silent) as report:
        ingest([source], store, None, report, IngestSettings(patience_seconds=0))
    source.files["0003.png"].data = png()
    source.reads.clear()
    selection = Selection(only=FailedItems.read(tmp_path / "r.jsonl").has)
    again = ingest([source], store, settings=IngestSettings(selection=selection, patience_seconds=0))
    assert (again.seen, again.added) == (1, 1) and source.reads == ["0003.png"] and len(store.objects) == 5


@pytest.mark.parametrize(
    ("failed", "taken", "left"),
    [
        ("sub", ["sub/x.png", "sub/deep/x.png"], ["sub.png", "subway/x.png", "other/sub"]),
        (".", ["x.png", "sub/x.png"], []),
        ("a.tar::", ["a.tar::x.png", "a.tar::sub/x.png"], ["b.tar::x.png"]),
        ("doc.pdf", ["doc.pdf", "doc.pdf#page=3"], ["doc.pdf.png"]),
        ("doc.pdf#page=3", ["doc.pdf#page=3"], ["doc.pdf#page=4", "doc.pdf#page=30"]),
        ("shop.csv#row=7", ["anything.png"], []),
        ("a#1.png", ["a#1.png"], ["a#2.png", "b.png"]),
    ],
)
def test_a_retry_takes_all_parts_of_a_failed_item(
    tmp_path: Path, failed: str, taken: list[str], left: list[str]
) -> None:
    written(tmp_path / "r.jsonl", ItemOutcome(failed, Status.FAILED, "broken", "/photos"))
    back = FailedItems.read(tmp_path / "r.jsonl")
    assert [key for key in taken + left if back.has(item(key))] == taken
    assert not back.has(item("elsewhere", "/other"))


def test_sources_come_back_in_their_order(tmp_path: Path) -> None:
    outcomes = [
        ItemOutcome(str(number), Status.FAILED, "", source) for number, source in enumerate(["/b", "/a", "/b", ""])
    ]
    written(tmp_path / "r.jsonl", *outcomes, ItemOutcome("x", Status.UNCHANGED, "", "/c"))
    assert FailedItems.read(tmp_path / "r.jsonl").sources == ("/b", "/a")


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"key": "a"}', "not JSON"])
def test_the_error_for_an_invalid_report_names_the_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "r.jsonl"
    file.write_text('{"key": "a", "status": "added", "reason": "", "source": "/photos"}\n' + line)
    with pytest.raises(InputError, match="line 2 is not a line of a report"):
        FailedItems.read(file)


def test_a_report_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_bytes(b"\xff")
    for file in (tmp_path / "r.jsonl", tmp_path / "missing"):
        with pytest.raises(InputError, match=f"--retry-failed {file} cannot be read"):
            FailedItems.read(file)
