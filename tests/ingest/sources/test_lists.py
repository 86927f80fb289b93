import os
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError
from ingest.items import Facts, UnusableFile
from ingest.sources.base import SourceOptions
from ingest.sources.remote import open_remote
from ingest.sources.transport import Transport
from tests.http_server import ALLOWED
from tests.ingest.sources.listed import facts, failures, found, items, keys, png, write
from tests.ingest.sources.web_server import Site


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for shade, name in enumerate(("a.png", "cats/b.png", "else/c,1.png")):
        write(tmp_path / name, png(shade))
    write(tmp_path / "cats" / "b.txt", "a cat")
    return tmp_path


def test_the_lines_of_a_text_file_are_paths_from_its_folder(here: Path) -> None:
    listed = found(write(here / "paths.txt", f"./a.png\ncats/b.png\n\n{here}/else/c,1.png\r\ngone.png\na.png\n"))
    assert {key: item.read() for key, item in items(listed).items()} == {
        "a.png": png(0),
        "cats/b.png": png(1),
        "else/c,1.png": png(2),
    }
    assert failures(listed) == {"gone.png": "cannot be read (No such file or directory)"}
    assert facts(listed)["cats/b.png"] == Facts("cats", "a cat")
    assert {item.source for item in items(listed).values()} == {str(here / "paths.txt")}


def test_a_list_gives_what_it_gives_on_standard_input(here: Path) -> None:
    lines = b"a.png\ncats/b.png\ngone.png\ncats\nnotes.md\n"
    piped = found("-", stdin=lines, options=SourceOptions(root=str(here)))
    listed = found(write(here / "paths.lst", lines))
    assert keys(listed) == keys(piped) and failures(listed) == failures(piped) and facts(listed) == facts(piped)


def test_the_lines_may_be_urls(here: Path, site: Site) -> None:
    urls = [site.add("/a,1.png", png(3)), f"  {site.add('/b.png', png(4))}?X-Amz-Signature=geheim\t"]
    options = SourceOptions(allow_addresses=ALLOWED)
    listed = found(write(here / "urls.txt", "\ufeff" + "\r\n".join(urls)), options=options)
    assert keys(listed) == [f"{site.address}/a,1.png", f"{site.address}/b.png"]
    assert [item.read() for item in items(listed).values()] == [png(3), png(4)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_list_may_be_saved_as_windows_saves_it(here: Path, encoding: str) -> None:
    write(here / "grün.png", png(5))
    assert keys(found(write(here / "paths.txt", "grün.png\r\na.png\r\n".encode(encoding)))) == ["grün.png", "a.png"]


def test_paths_are_relative_to_the_root(here: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    paths = write(tmp_path_factory.mktemp("else") / "paths.txt", "b.png\n")
    assert keys(found(paths, options=SourceOptions(root=str(here / "cats")))) == ["b.png"]


def test_a_path_without_an_extension_is_one_if_there_is_a_file(here: Path) -> None:
    write(here / "bare", png(6))
    assert keys(found(write(here / "paths.txt", "bare\n"))) == ["bare"]
    assert keys(found(write(here / "other.txt", "barely\n"))) == ["other.txt"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"just a sentence.\nhttps://example.com/a.png", b"\0\0", b"\xff\xfea", b"x" * 9000],
    ids=str,
)
def test_another_text_file_is_read_as_an_image_and_fails_by_its_name(here: Path, content: bytes) -> None:
    [item] = items(found(write(here / "notes.txt", content))).values()
    assert item.key == "notes.txt"
    if not content:
        with pytest.raises(UnusableFile, match="empty file"):
            item.read()


def test_an_image_called_txt_is_an_image(here: Path) -> None:
    [item] = items(found(write(here / "photo.txt", png(7)))).values()
    assert (item.key, item.read()) == ("photo.txt", png(7))


def test_a_list_is_read_anew_each_time(here: Path) -> None:
    file = write(here / "paths.txt", "a.png\n")
    from ingest.sources import open_sources

    [source] = open_sources([str(file)], SourceOptions())
    assert keys(source) == keys(source) == ["a.png"]
    write(file, "cats/b.png\na.png\n")
    assert keys(source) == ["cats/b.png", "a.png"]


def test_names_that_are_not_utf8_fail_by_themselves(here: Path) -> None:
    listed = found(write(here / "paths.txt", b"a.png\ncaf\xe9.png\n"))
    assert keys(listed) == ["a.png"] and failures(listed) == {
        "caf\\udce9.png": "the file's name is not UTF-8; rename it"
    }


def test_ignored_and_hidden_paths_are_as_on_standard_input(here: Path) -> None:
    paths = write(here / "paths.txt", "a.png\ncats/b.png\n")
    assert keys(found(paths, options=SourceOptions(ignore=("cats/",)))) == ["a.png"]


def test_a_list_at_a_url_names_files_next_to_it_or_anywhere(site: Site, bucket: str, far: Transport) -> None:
    import fsspec

    site.add("/deep/x.png", png(8))
    listed = list(open_remote(site.add("/urls.txt", b"deep/x.png\n"), SourceOptions(), far))
    assert [item.read() for item in items(listed).values()] == [png(8)] and keys(listed) == ["deep/x.png"]
    fsspec.filesystem("memory").pipe(f"{bucket}/urls.txt", f"{site.address}/deep/x.png\n".encode())
    assert keys(list(open_remote(f"{bucket}/urls.txt", SourceOptions(), far))) == [f"{site.address}/deep/x.png"]


@pytest.mark.parametrize("first", ["https://user:word@e.org/a.png?sig=s&sv=1", "photos/a.png", '"a,1.png"'])
def test_a_csv_file_without_names_of_columns_is_refused_with_what_to_do(here: Path, first: str) -> None:
    with pytest.raises(
        InputError, match=r"its first line must name the columns, and names .*a.*\.png; put a line"
    ) as caught:
        found(write(here / "urls.csv", f"{first},x\nb.png,y\n"))
    assert "word" not in str(caught.value) and "sig" not in str(caught.value)


def test_a_list_that_cannot_be_read_is_left_to_the_image(here: Path) -> None:
    os.mkfifo(here / "pipe.txt")
    with pytest.raises(InputError, match="neither a file nor a folder"):
        found(here / "pipe.txt")
