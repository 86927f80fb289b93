import os
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions
from tests.ingest.sources.listed import facts, found, keys, png, tar_of, write, zip_of


def test_every_word_becomes_a_source_named_absolutely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "folder" / "x.png", png())
    write(tmp_path / "one.dat", png())
    tar_of(tmp_path / "a.tar", {"x.png": png()})
    zip_of(tmp_path / "a.ZIP", {"x.png": png()})
    write(tmp_path / "t.csv", "path\none.dat\n")
    words = ["folder", "one.dat", "a.tar", "a.ZIP", "t.csv", "folder/*.png"]
    names = [source.name for source in open_sources(words, SourceOptions())]
    assert names == [f"{tmp_path}/{name}" for name in ("folder", "one.dat", "a.tar", "a.ZIP", "t.csv", "folder")]
    assert keys(found(*words)) == ["x.png", "one.dat", "a.tar::x.png", "a.ZIP::x.png", "one.dat", "x.png"]


def test_a_file_named_directly_is_read_with_any_extension_and_with_its_annotations(tmp_path: Path) -> None:
    write(tmp_path / "cats" / "x.dat", png())
    write(tmp_path / "cats" / "x.txt", "a cat")
    listed = found(tmp_path / "cats" / "x.dat")
    assert keys(listed) == ["x.dat"]
    assert (facts(listed)["x.dat"].label, facts(listed)["x.dat"].caption) == ("cats", "a cat")


def test_a_text_file_is_no_caption_of_itself(tmp_path: Path) -> None:
    write(tmp_path / "x.txt", "text")
    assert facts(found(tmp_path / "x.txt"))["x.txt"].caption == ""


def test_what_is_not_there_or_cannot_be_read_is_refused_with_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "gone.png").symlink_to("nowhere")
    for word, reason in (("pipe.png", "neither a file nor"), ("gone.png", "links to nothing"), ("no", "no such file")):
        with pytest.raises(InputError, match=f"{word}: .*{reason}"):
            found(tmp_path / word)
    with pytest.raises(InputError, match="SOURCE is empty"):
        found("")


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--root /nowhere: no such folder"):
        open_sources([str(tmp_path)], SourceOptions(root="/nowhere"))


def test_a_folder_whose_path_is_not_utf8_is_refused(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"caf\xe9") / "x.png", png())
    with pytest.raises(InputError, match=r"caf\\udce9: the path is not UTF-8"):
        found(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
