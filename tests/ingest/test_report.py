import json

from ingest.items import Fate, Outcome
from ingest.report import IngestReport


def report_of(*outcomes: Outcome) -> IngestReport:
    report = IngestReport(seen=len(outcomes), skipped=1)
    for outcome in outcomes:
        report.count(outcome)
    return report


MIXED = report_of(
    Outcome("a", Fate.ADDED),
    Outcome("b", Fate.UPDATED),
    Outcome("c", Fate.UNCHANGED),
    Outcome("d", Fate.FAILED, "broken"),
)


def test_json_holds_the_numbers_and_the_failures_by_name() -> None:
    told = json.loads(json.dumps(MIXED.as_json()))
    assert [told[name] for name in ("seen", "added", "updated", "unchanged", "failed", "skipped")] == [4, 1, 1, 1, 1, 1]
    assert told["failures"] == [{"path": "d", "reason": "broken"}] and told["seconds"] >= 0


def test_the_exit_code_is_3_when_some_failed_and_0_otherwise() -> None:
    assert MIXED.exit_code == 3 and report_of(Outcome("a", Fate.ADDED)).exit_code == 0


def test_the_summary_is_one_sentence() -> None:
    assert MIXED.summary().startswith("4 images: 1 added, 1 updated, 1 unchanged, 1 failed, in ")


def test_what_is_taken_back_moves_to_failed() -> None:
    sent = Outcome("a", Fate.UPDATED, sha256="x")
    report = report_of(sent)
    report.take_back(sent, "lost")
    assert (report.updated, report.failed, report.done) == (0, 1, 1)
