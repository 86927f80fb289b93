import io
import os
import tarfile
from pathlib import Path

import pytest

from ingest.items import UnusableFile
from ingest.sources.archive import open_archive
from ingest.sources.base import SourceOptions
from ingest.sources.tars import read_stream_contents
from tests.ingest.sources.listed import failures, keys, png, tar_of


def tar_stream(folder: Path, members: dict[str, str | bytes], mode: str = "w:") -> bytes:
    return tar_of(folder / "a.tar", members, mode).read_bytes()


def test_notes_that_would_fill_the_memory_are_refused_before_any_image(tmp_path: Path) -> None:
    data = tar_stream(tmp_path, {"x.png": png(), "x.txt": "x" * 4000, "y.txt": "y" * 4000, "z.md": "z" * 9000})
    with pytest.raises(UnusableFile, match=r"more than 256 MB.*unpack it"):
        read_stream_contents(lambda: io.BytesIO(data), lambda name: name.endswith(".txt"), 9000)
    inside = read_stream_contents(lambda: io.BytesIO(data), lambda name: name == "x.txt", 9000)
    assert [note.name for note in inside.annotations] == ["x.txt"] and len(list(inside.members)) == 4


def test_an_archive_that_breaks_while_its_annotations_are_read_is_a_failure_after_its_images(tmp_path: Path) -> None:
    data = tar_stream(tmp_path, {"x.txt": "x", "x.png": png(), "y.png": png()})
    streams = iter((data[:1600], data))
    inside = read_stream_contents(lambda: io.BytesIO(next(streams)), lambda name: name.endswith(".txt"))
    assert [next(inside.members).name for _ in range(3)] == ["x.txt", "x.png", "y.png"]
    with pytest.raises(tarfile.ReadError):
        next(inside.members)


def test_images_are_not_ingested_without_annotations_that_could_not_be_read(tmp_path: Path) -> None:
    class Gone(io.BytesIO):
        def read(self, count: int | None = 512, /) -> bytes:
            if self.tell() > 1000:
                raise UnusableFile("timed out (3 tries)")
            return super().read(min(count, 512) if count else 0)

    data = tar_stream(tmp_path, {f"{n}.png": os.urandom(900) for n in range(9)}, "w:gz")
    listed = list(open_archive("/a.tar.gz", lambda: Gone(data), "stamp", SourceOptions()))
    assert failures(listed) == {"a.tar.gz::": "timed out (3 tries)"} and len(listed) == 1


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_all_readable_members_of_a_truncated_archive_are_ingested(tmp_path: Path, mode: str) -> None:
    whole = tar_stream(tmp_path, {f"{n}.png": os.urandom(30_000) for n in range(40)}, mode)
    cut = whole[: int(len(whole) * 0.8)]  # bzip2 packs 900 kB at a time, so that the last 300 kB are gone
    listed = list(open_archive("/a.tar.gz", lambda: io.BytesIO(cut), "stamp", SourceOptions()))
    assert list(failures(listed)) == ["a.tar.gz::"] and 28 < len(keys(listed)) < 33
