from ingest.pipeline import IngestSettings, ingest
from ingest.report import IngestReport
from ingest.store.base import ReadOnlyStore
from tests.ingest.fakes import BLUE, BROKEN, FakeStore, File, ListSource, pictures, png

DRY = IngestSettings(verify=False, patience_seconds=0)


def dry(source: ListSource, store: FakeStore) -> IngestReport:
    return ingest([source], ReadOnlyStore(store), settings=DRY)


def test_a_dry_run_reports_what_a_run_would_do_and_changes_nothing() -> None:
    source, store = ListSource(pictures(5)), FakeStore()
    ingest([source], store, settings=IngestSettings(patience_seconds=0))
    before = dict(store.objects)
    store.calls.clear()
    source.files["0000.png"] = File(png(BLUE))
    source.files["0001.png"].stamp = "touched"
    source.files["new.png"], source.files["bad.png"] = File(png(side=3)), File(BROKEN)
    report = dry(source, store)
    assert (report.seen, report.added, report.updated, report.unchanged, report.failed) == (7, 1, 1, 4, 1)
    assert store.objects == before and {name for name, _ in store.calls} == {"states", "find_duplicates"}
    wet = ingest([source], store, settings=IngestSettings(patience_seconds=0))
    assert (wet.added, wet.updated, wet.unchanged, wet.failed) == (1, 1, 4, 1)


def test_a_dry_run_removes_nothing_and_reads_what_is_there() -> None:
    store = FakeStore()
    ingest([ListSource(pictures(2))], store, settings=IngestSettings(patience_seconds=0))
    read_only = ReadOnlyStore(store)
    read_only.delete(["0000.png"])
    read_only.unlink(["0000.png"])
    assert len(store.objects) == 2 and sorted(read_only.keys(["/photos"])) == ["0000.png", "0001.png"]
    assert len(list(read_only.phashes())) == 2 and read_only.model == store.model and read_only.keep == store.keep
