"""The list of real PDF files, and how they are fetched: from clones that the test makes, never from the network."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from examples.drawings import real_pdfs

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")
HEADER = "repository\tcommit\tpath\tsha256\tpages\tdrawings\tsame block\n"


def test_the_list_has_drawings_among_other_pages() -> None:
    files = real_pdfs.read_list()
    assert len({file.name for file in files}) == len(files) == 102
    assert sum(file.pages for file in files) == 167
    assert sum(len(file.drawings) for file in files) == 28
    assert all(file.same_block <= file.drawings <= set(range(1, file.pages + 1)) for file in files)


@pytest.fixture
def clones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two files; of the second, the list has another hash."""
    folder = tmp_path / "clones" / "me+parts" / "repo"
    (folder / "some folder").mkdir(parents=True)
    (folder / "some folder" / "a.pdf").write_bytes(b"one")
    (folder / "b.pdf").write_bytes(b"two")
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "files"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    done = subprocess.run([*GIT, "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    commit, first = done.stdout.strip(), hashlib.sha256(b"one").hexdigest()
    rows = (
        f"me/parts\t{commit}\tsome folder/a.pdf\t{first}\t2\t2\t\n",
        f"me/parts\t{commit}\tb.pdf\t{first}\t1\t1\t1\n",
    )
    (tmp_path / "list.tsv").write_text(HEADER + "".join(rows))
    monkeypatch.setattr(real_pdfs, "LIST", tmp_path / "list.tsv")
    return tmp_path / "clones"


def test_a_file_of_another_content_is_named_and_left_out(clones: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(real_pdfs.main, [str(tmp_path / "out"), "--clones", str(clones)])
    assert done.exit_code == 3
    assert done.stdout == "1 of 2 files, 2 pages\n"
    assert "left out: parts/b.pdf: another content than in the list" in done.stderr
    pages = [json.loads(line) for line in (tmp_path / "out" / "pages.jsonl").read_text().splitlines()]
    assert [(page["path"], page["page"], page["kind"]) for page in pages] == [
        ("parts/some_folder_a.pdf", 1, None),
        ("parts/some_folder_a.pdf", 2, "drawing"),
    ]
    assert (tmp_path / "out" / "parts" / "some_folder_a.pdf").read_bytes() == b"one"


def test_without_any_file_nothing_is_written(clones: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = CliRunner().invoke(real_pdfs.main, [str(tmp_path / "out"), "--clones", str(empty)])
    assert done.exit_code == 1
    assert "no file could be fetched" in done.stderr
    assert not (tmp_path / "out").exists()
