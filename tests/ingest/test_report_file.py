import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.items import ItemOutcome, SourceItem, Status
from ingest.listing import Selection
from ingest.pipeline import IngestSettings, ingest
from ingest.report import FailedItems, IngestReport, ReportFile
from tests.ingest.fakes import BROKEN, FakeStore, ListSource, pictures, png


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


def test_every_image_has_a_line_with_what_became_of_it(tmp_path: Path) -> None:
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


# --- and back


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


def test_what_is_no_utf8_is_written_as_json_writes_it(tmp_path: Path) -> None:
    [line] = written(tmp_path / "r.jsonl", ItemOutcome("a", Status.FAILED, "no \udce9", "/caf\udce9"))
    assert line["source"] == "/caf\udce9" and FailedItems.read(tmp_path / "r.jsonl").sources == ("/caf\udce9",)


def test_a_retry_takes_what_failed_and_nothing_else(tmp_path: Path) -> None:
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
def test_a_retry_takes_all_parts_of_what_failed(tmp_path: Path, failed: str, taken: list[str], left: list[str]) -> None:
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
