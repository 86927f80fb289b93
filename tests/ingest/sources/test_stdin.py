import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.items import Facts
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions
from ingest.sources.stdin import PathStream
from tests.ingest.sources.listed import facts, failures, found, items, keys, png, skipped, write


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("here/a.png", "here/cats/b.png", "else/c.png"):
        write(tmp_path / name, png())
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_paths_below_the_current_folder_are_relative_others_absolute(here: Path) -> None:
    stdin = f"./a.png\n{here}/cats/b.png\n../else/c.png\ncats/../a.png\n".encode()
    listed = found("-", stdin=stdin)
    assert keys(listed) == ["a.png", "cats/b.png", f"{here.parent}/else/c.png", "a.png"]
    assert {item.source for item in items(listed).values()} == {str(here)}


def test_label_and_caption_come_as_from_a_folder(here: Path) -> None:
    write(here / "cats" / "b.txt", "a cat")
    assert facts(found("-", stdin=b"cats/b.png"))["cats/b.png"] == Facts("cats", "a cat")


def test_paths_are_relative_to_the_root(here: Path) -> None:
    options = SourceOptions(root="..")
    listed = found("-", stdin=b"else/c.png\nhere/a.png", options=options)
    assert keys(listed) == ["else/c.png", "here/a.png"]
    assert [item.source for item in items(listed).values()] == [str(here.parent)] * 2


def test_what_cannot_be_read_is_a_failure_each(here: Path) -> None:
    write(here / "a.zip")
    listed = found("-", stdin=b"gone.png\ncats\na.zip\n" + os.fsencode("caf\udce9.png") + b"\na.png")
    assert keys(listed) == ["a.png"]
    assert failures(listed) == {
        "gone.png": "cannot be read (No such file or directory)",
        "cats": "a folder; name its files, or name it as a SOURCE",
        "a.zip": "an archive or a table; name it as a SOURCE",
        "caf\\udce9.png": "the file's name is not UTF-8; rename it",
    }


def test_pipes_and_files_that_are_no_images_are_skipped(here: Path) -> None:
    os.mkfifo(here / "pipe.png")
    write(here / "bare", png())
    listed = found("-", stdin=b"pipe.png\nnotes.md\nbare")
    assert skipped(listed) == ["pipe.png", "notes.md"] and keys(listed) == ["bare"]


def test_names_with_newlines_come_with_nul(here: Path) -> None:
    write(here / "a\nb.png", png())
    assert keys(found("-", stdin=b"a\nb.png\0a.png\0", options=SourceOptions(nul=True))) == ["a\nb.png", "a.png"]


def test_names_that_end_with_nul_where_lines_are_expected_fail_with_a_way_out(here: Path) -> None:
    [reason] = failures(found("-", stdin=b"one.png\0two.png\0")).values()
    assert reason == "ends with NUL, not with a new line; add -0"


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match="closed"):
        open_sources(["-"], SourceOptions())


def test_lines_may_end_as_windows_ends_them_and_empty_ones_do_not_count(here: Path) -> None:
    assert keys(found("-", stdin=b"a.png\r\n\r\n\ncats/b.png\r\n")) == ["a.png", "cats/b.png"]


def test_ignored_paths_do_not_count(here: Path) -> None:
    assert keys(found("-", stdin=b"a.png\ncats/b.png", options=SourceOptions(ignore=("cats/",)))) == ["a.png"]


def test_stdin_is_read_once_and_remembered(here: Path) -> None:
    [source] = open_sources(["-"], SourceOptions(), io.BytesIO(b"a.png\ncats/b.png\na.png"))
    assert next(iter(source)).key == "a.png"  # type: ignore[union-attr]
    assert keys(source) == keys(source) == ["a.png", "cats/b.png"]


def test_a_path_is_listed_before_the_next_one_is_there(here: Path) -> None:
    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.lines: Iterator[bytes] = iter([b"a.png\ncats", b"/b.png\n"])
            self.reads = 0

        def read(self, size: int = -1) -> bytes:
            self.reads += 1
            return next(self.lines, b"")

    stream = Slow()
    [source] = open_sources(["-"], SourceOptions(), stream)  # type: ignore[arg-type]
    listing = iter(source)
    assert stream.reads == 0 and keys([next(listing)]) == ["a.png"] and stream.reads == 1
    assert keys(listing) == ["cats/b.png"]


def test_addresses_are_opened_where_they_are(here: Path) -> None:
    import fsspec

    fsspec.filesystem("memory").pipe("/stdin/x.png", png(9))
    listed = found("-", stdin=b"memory://stdin/x.png\na.png\nmemory://stdin/gone.png")
    assert sorted(keys(listed)) == ["a.png", "memory://stdin/gone.png", "memory://stdin/x.png"]
    assert items(listed)["memory://stdin/x.png"].read() == png(9)


def test_stdin_cannot_be_named_twice(here: Path) -> None:
    with pytest.raises(InputError, match="named twice"):
        open_sources(["-", "-"], SourceOptions(), io.BytesIO())


LINES = st.lists(st.binary(max_size=5).filter(lambda line: b"\n" not in line and not line.endswith(b"\r")), max_size=20)


@given(lines=LINES, step=st.integers(1, 7))
def test_paths_do_not_depend_on_how_they_arrive(lines: list[bytes], step: int) -> None:
    class Trickle(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            return super().read1(step)

    paths = PathStream(Trickle(b"\n".join(lines)), b"\n")
    assert list(paths) == list(paths) == [line for line in dict.fromkeys(lines) if line]
