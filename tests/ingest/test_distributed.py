"""An ingest shared out: parts, rows, the tally. Ray itself is in tests/stack/test_ray.py."""

import io
import pickle
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pikepdf
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.database.connection import ConnectionSettings
from clip_vectorizer.errors import InputError, SidecarRefused, SidecarUnreachable, VectorizerError
from clip_vectorizer.images.pdf_passwords import PdfPassword
from clip_vectorizer.vectors import Vectors
from ingest.distributed import ingest_with_ray
from ingest.distributed.connections import RotatingEmbedder, make_picklable
from ingest.distributed.driver import BatchTally
from ingest.distributed.duplicates import RemoteDuplicateIndex
from ingest.distributed.parts import SourcePart, split_sources, subdivide_shard
from ingest.distributed.steps import ClusterStep, ItemBatch, PartReader, pack_batch, read_batches, unpack_batch
from ingest.embed import DuplicateIndex, add_vectors
from ingest.items import ImageObject, ItemOutcome, Status
from ingest.job import IngestJob
from ingest.listing import ListingProgress, Selection, Shard, list_items
from ingest.pipeline import IngestSettings, ignore_progress
from ingest.prune import PruneLimit
from ingest.report import IngestReport
from ingest.retry import Patience
from ingest.sources import open_sources
from ingest.sources.base import SkippedFile, SourceOptions
from ingest.stages import SizeLimit
from ingest.upload import upload
from tests.ingest.fakes import BROKEN, FakeEmbedder, FakeStore, ListSource, pictures, png
from tests.ingest.sources.pdf_files import pdf

NOWHERE = ConnectionSettings("http://127.0.0.1:1")
SMALL_GROUPS = IngestSettings(embed_batch=SizeLimit(4), workers=2)
KEYS = [f"{number}.png" for number in range(300)]


def job(*sources: object, settings: IngestSettings = SMALL_GROUPS) -> IngestJob:
    return IngestJob(tuple(map(str, sources)), NOWHERE, settings=settings)


def keys_of(row: ItemBatch) -> list[str]:
    outcomes = [event.key for event in row.events if isinstance(event, ItemOutcome)]
    return sorted([*(change.key for change in row.changes), *outcomes])


@given(count=st.integers(1, 9), index=st.integers(1, 5), of=st.integers(1, 5))
def test_the_parts_of_a_shard_are_the_shard_each_key_once(count: int, index: int, of: int) -> None:
    whole = Shard(min(index, of), of)
    shards = [subdivide_shard(Selection(shard=whole), number, count).shard for number in range(count)]
    found = Counter(key for key in KEYS for shard in shards if shard and shard.has(key))
    assert found == Counter(key for key in KEYS if whole.has(key))


def test_a_folder_is_listed_once_a_part_by_a_name_that_means_the_same_everywhere(tmp_path: Path) -> None:
    parts = split_sources(job(tmp_path), 3)
    assert [part.words for part in parts] == [(str(tmp_path),)] * 3
    assert [part.selection.shard for part in parts] == [Shard(1, 3), Shard(2, 3), Shard(3, 3)]


def test_archives_are_parts_of_their_own_those_of_one_name_in_one_part() -> None:
    words = ["/a/one.tar", "/b/one.tar", "/a/two.tar", "/a/three.zip", "s3://far/four.tgz"]
    parts = split_sources(job(*words), 4)
    assert [part.words for part in parts] == [("/a/one.tar", "/b/one.tar"), *((word,) for word in words[2:])]
    assert all(part.selection.shard is None for part in parts)


def test_a_lone_archive_is_listed_by_all_unless_it_must_be_unpacked_for_it() -> None:
    parts = split_sources(job("/a/plain.tar", "/a/packed.tar.gz"), 3)
    assert [part.words for part in parts] == [("/a/packed.tar.gz",), *[("/a/plain.tar",)] * 3]


def test_paths_on_stdin_cannot_be_shared_out() -> None:
    with pytest.raises(InputError, match="write the paths to a table"):
        split_sources(job("-"), 2)


@pytest.mark.parametrize(
    ("option", "given"),
    [("--watch", {"watch": True}), ("--dry-run", {"dry_run": True}), ("--prune", {"prune": PruneLimit()})],
)
def test_an_option_for_one_process_only_is_refused_by_its_name(option: str, given: dict[str, object]) -> None:
    with pytest.raises(InputError, match=option):
        ingest_with_ray(replace(job("photos"), **given))  # type: ignore[arg-type]


def test_all_parts_together_find_what_one_process_finds() -> None:
    source = ListSource(pictures(50) | {"broken.png": BROKEN}, others=[SkippedFile("notes.xyz")])
    events: list[object] = []
    for number in range(4):
        events += [item.key for item in list_items([source], subdivide_shard(Selection(), number, 4), events.append)]
    assert sorted(key for key in events if isinstance(key, str)) == sorted(source.files)
    assert [event for event in events if isinstance(event, SkippedFile)] == [SkippedFile("notes.xyz")]


def test_workers_open_encrypted_files_lists_and_tables_with_images(tmp_path: Path) -> None:
    with pikepdf.open(io.BytesIO(pdf(b"", b""))) as plain:
        plain.save(tmp_path / "x.pdf", encryption=pikepdf.Encryption(owner="geheim", user="geheim"))
    (tmp_path / "own.png").write_bytes(png())
    (tmp_path / "paths.txt").write_text("own.png\n")
    pyarrow.parquet.write_table(pyarrow.table({"image": [png(), png((1, 2, 3))]}), tmp_path / "t.parquet")
    names = (tmp_path / name for name in ("x.pdf", "paths.txt", "t.parquet"))
    here = replace(job(*names), options=SourceOptions(pdf_passwords=(PdfPassword("geheim"),)))
    read: list[str] = []
    for packed in map(pickle.dumps, ((part, here) for part in split_sources(here, 3))):
        part, there = pickle.loads(packed)
        for item in list_items(open_sources(part.words, there.options), part.selection, ignore_event):
            assert item.read()
            read.append(item.key)
    assert sorted(read) == ["own.png", "t.parquet#row=1", "t.parquet#row=2", "x.pdf#page=1", "x.pdf#page=2"]


def ignore_event(event: object) -> None:
    assert not isinstance(event, ItemOutcome), event


def test_a_part_read_again_makes_the_same_groups_though_the_store_has_some_of_them_by_then() -> None:
    source, store = ListSource(pictures(10) | {"broken.png": BROKEN}), FakeStore()
    first = rows(source, store)
    upload_all(first[:2], store)
    second = rows(source, store)
    assert [keys_of(row) for row in first] == [keys_of(row) for row in second]
    assert [row.number for row in second] == [0, 1, 2, 3]
    assert [event.status for event in second[0].events if isinstance(event, ItemOutcome)] == [Status.UNCHANGED] * 4


def rows(source: ListSource, store: FakeStore) -> list[ItemBatch]:
    with ThreadPoolExecutor(2) as threads:
        reader = PartReader(job("photos"), store, threads)
        return [unpack_batch(pack_batch(row)) for row in read_batches(SourcePart(0, (), Selection()), [source], reader)]


def upload_all(some: Sequence[ItemBatch], store: FakeStore) -> None:
    for row in some:
        assert all(outcome.status is Status.ADDED for outcome in upload(row.changes, store, Patience(0)))


def test_a_row_that_comes_twice_counts_once() -> None:
    tally = tally_of(1)
    row = ItemBatch(0, 0, events=[ListingProgress(1), ItemOutcome("a", Status.ADDED, sha256="1")])
    for each in (row, row, ItemBatch(0, 1, events=[ListingProgress(0, complete=True)], is_last=True)):
        tally.take(each)
    tally.check()
    assert (tally.report.seen, tally.report.added, tally.report.complete) == (1, 1, True)
    assert [outcome.key for packed in tally.sent for outcome in pickle.loads(packed)] == ["a"]


def test_all_is_seen_when_the_last_part_has_ended() -> None:
    tally = tally_of(2)
    tally.take(ItemBatch(0, 0, events=[ListingProgress(0, complete=True)], is_last=True))
    assert not tally.report.complete
    tally.take(ItemBatch(1, 0, events=[ListingProgress(0, complete=True)], is_last=True))
    assert tally.report.complete


def test_a_row_that_never_comes_is_noticed() -> None:
    tally = tally_of(1)
    tally.take(ItemBatch(0, 1, is_last=True))
    with pytest.raises(VectorizerError, match="to ingest what is missing"):
        tally.check()


def test_an_error_arrives_after_what_was_done_before_it() -> None:
    tally = tally_of(1)
    with pytest.raises(SidecarUnreachable, match="away"):
        tally.take(
            ItemBatch(
                0, 0, events=[ListingProgress(1), ItemOutcome("a", Status.ADDED)], error=SidecarUnreachable("away")
            )
        )
    assert tally.report.added == 1


def tally_of(parts: int) -> BatchTally:
    return BatchTally([SourcePart(number, (), Selection()) for number in range(parts)], IngestReport(), ignore_progress)


def test_an_error_in_a_step_goes_on_with_its_row() -> None:
    class Refusing(ClusterStep):
        def work(self, row: ItemBatch) -> ItemBatch:
            raise SidecarUnreachable("away")

    (row, *_) = rows(ListSource(pictures(1)), FakeStore())
    after = unpack_batch(Refusing()(pack_batch(row)))
    assert (str(after.error), after.events, after.changes) == ("away", row.events, ())
    assert str(unpack_batch(Refusing()(pack_batch(after))).error) == "away", "what has failed is passed on"


def test_an_error_that_cannot_travel_keeps_its_words() -> None:
    assert isinstance(make_picklable(SidecarUnreachable("away")), SidecarUnreachable)
    assert str(make_picklable(SidecarRefused(422, "no image"))) == "no image"


def test_a_retry_uses_the_next_sidecar() -> None:
    def away(_: Sequence[bytes]) -> None:
        raise SidecarUnreachable("away")

    embedder = RotatingEmbedder([FakeEmbedder(), FakeEmbedder(before=away)], first=1)
    (vector_d,) = Patience(1, pause=lambda _: None).call(lambda: embedder.embed([png()]))
    assert isinstance(vector_d, Vectors.__origin__)  # type: ignore[attr-defined]


def test_equal_images_of_two_embedders_are_linked_by_the_one_desk() -> None:
    known = DuplicateIndex(FakeStore())

    def links(objects: Sequence[ImageObject]) -> list[tuple[Vectors | None, str]]:
        assert all(item.image == b"" and item.thumbnail is None for item in objects), "pictures need not travel"
        return [(item.vector_d, item.duplicate_of) for item in known.link(objects)]

    (row, *_) = rows(ListSource({"a.png": png(), "b.png": png()}), FakeStore())
    made = [
        each
        for change in row.changes
        for each in add_vectors([change], RemoteDuplicateIndex(links), FakeEmbedder(), Patience(0))
    ]
    assert [each.duplicate_of for each in made if isinstance(each, ImageObject)] == ["", "a.png"]
    assert all(each.thumbnail and each.image for each in made if isinstance(each, ImageObject))


def test_without_ray_the_package_imports_and_the_error_names_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from ingest.distributed import RaySettings\n"
        "from ingest.distributed.cluster import connect_cluster\n"
        "with connect_cluster(RaySettings()): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "pip install 'clip-vectorizer[ray]'" in done.stderr, done.stderr
