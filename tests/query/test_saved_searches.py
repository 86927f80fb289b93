"""The file of saved searches: it survives other processes, and is never replaced where it cannot be read."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from clip_vectorizer.database.schema import StoredModel
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.saved_searches import SavedPicture, SavedSearch, SavedSearches, find_searches_file

MODEL = StoredModel("emoji", "0123", 3, "plain")
VECTOR = np.asarray([0.5, -1e-9, 3], dtype=np.float32)
PICTURE = SavedPicture("sha256:00", "cat.png", b"\xff\xd8\xff\x00", VECTOR, MODEL)
ADD_MANY = """
import sys
from pathlib import Path
from clip_vectorizer.query.saved_searches import SavedSearch, SavedSearches
for number in range(20):
    SavedSearches(Path(sys.argv[1])).add(SavedSearch(f"{sys.argv[2]} {number}", "q=owl"))
"""
BROKEN = [
    b"", b"{", b"[]", b"null", b'{"version": 1}', b'{"version": 2, "searches": []}', b'{"version": 1, "searches": [1]}',
    b'{"version": 1, "searches": [{"name": 1, "address": "q=a"}]}', b"\xff\xfe", b"[" * 100_000,
    b'{"version": 1, "searches": [{"name": "a", "address": "", "pictures": [{"key": "x"}]}]}',
]  # fmt: skip


@pytest.fixture
def searches(tmp_path: Path) -> SavedSearches:
    return SavedSearches(tmp_path / "folder" / "searches.json")


def test_what_is_saved_comes_back_bit_by_bit(searches: SavedSearches) -> None:
    searches.add(SavedSearch("Käse & <b>", "q=K%C3%A4se", (PICTURE,)))
    [found] = SavedSearches(searches.file).read_all()
    assert (found.name, found.address) == ("Käse & <b>", "q=K%C3%A4se")
    [picture] = found.pictures
    assert picture.vector.tobytes() == VECTOR.tobytes() and picture.thumbnail == PICTURE.thumbnail
    assert (picture.key, picture.name, picture.model) == (PICTURE.key, PICTURE.name, MODEL)
    assert SavedSearches(searches.file).find_picture("sha256:00") is not None
    assert searches.file.stat().st_mode & 0o077 == 0, "of this user alone"


def test_a_file_that_is_not_there_has_no_searches(searches: SavedSearches) -> None:
    assert searches.read_all() == () and not searches.file.exists()
    assert SavedSearches(Path("/dev/null/searches.json")).read_all() == ()


def test_names_are_renamed_and_removed(searches: SavedSearches) -> None:
    for name in ("a", "b", "c"):
        searches.add(SavedSearch(name, f"q={name}"))
    searches.rename("b", "second")
    searches.remove("a")
    assert [(each.name, each.address) for each in searches.read_all()] == [("second", "q=b"), ("c", "q=c")]
    with pytest.raises(InputError, match="saved as 'c' already"):
        searches.rename("second", "c")
    with pytest.raises(InputError, match="no search is saved as 'a' any more"):
        searches.remove("a")
    with pytest.raises(InputError, match="did you mean second"):
        searches.find("secnd")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00", "\u202eevil", "x" * 101, " a"])
def test_names_that_people_cannot_type_are_refused(name: str, searches: SavedSearches) -> None:
    with pytest.raises(InputError):
        searches.add(SavedSearch(name, "q=a"))
    assert searches.read_all() == ()


@pytest.mark.parametrize("content", BROKEN)
def test_a_broken_file_is_refused_and_never_replaced(content: bytes, searches: SavedSearches) -> None:
    searches.file.parent.mkdir()
    searches.file.write_bytes(content)
    for attempt in (
        searches.read_all,
        lambda: searches.add(SavedSearch("a", "q=a")),
        lambda: searches.remove("a"),
        lambda: searches.rename("a", "b"),
    ):
        with pytest.raises(InputError, match=r"searches\.json cannot be read \(.+\); mend the file or move it away"):
            attempt()
    assert searches.file.read_bytes() == content and searches.find_picture("sha256:00") is None


def test_several_processes_lose_nothing(searches: SavedSearches) -> None:
    words = [sys.executable, "-c", ADD_MANY, str(searches.file)]
    running = [subprocess.Popen([*words, name]) for name in ("one", "two", "three")]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    names = [each.name for each in searches.read_all()]
    assert len(names) == 60 and len(set(names)) == 60
    assert sorted(each.name for each in searches.file.parent.iterdir()) == ["searches.json", "searches.json.lock"]


def test_a_change_by_another_process_is_seen(searches: SavedSearches) -> None:
    searches.add(SavedSearch("a", "q=a"))
    assert len(searches.read_all()) == 1
    SavedSearches(searches.file).add(SavedSearch("b", "q=b"))
    assert [each.name for each in searches.read_all()] == ["a", "b"]


def test_a_place_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(InputError, match=r"cannot be written \(.+\); name another file \(--searches FILE\)"):
        SavedSearches(Path("/proc/searches.json")).add(SavedSearch("a", "q=a"))


def test_a_link_to_the_file_stays_a_link(searches: SavedSearches, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(searches.file)
    searches.file.parent.mkdir()
    SavedSearches(link).add(SavedSearch("a", "q=a"))
    assert link.is_symlink() and json.loads(searches.file.read_text())["searches"][0]["name"] == "a"


def test_the_file_is_where_the_user_keeps_data() -> None:
    assert find_searches_file({"XDG_DATA_HOME": "/data"}) == Path("/data/clip-vectorizer/searches.json")
    assert find_searches_file({}) == Path.home() / ".local/share/clip-vectorizer/searches.json"
