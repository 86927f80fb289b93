from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import InputError
from ingest.sources import open_sources
from ingest.sources.base import SourceOptions
from ingest.sources.disk import GlobPattern
from tests.ingest.sources.listed import facts, failures, found, items, keys, png, skipped, tar_of, write

FILES = ("a.jpg", "b.png", "one/c.jpg", "one/deep/er/d.jpg", "two/e.jpg", ".hid/f.jpg", "one/.g.jpg", "notes.md")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in FILES:
        write(tmp_path / "photos" / name, png())
    return tmp_path / "photos"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["a.jpg"]),
        ("**/*.jpg", ["a.jpg", "one/c.jpg", "one/deep/er/d.jpg", "two/e.jpg"]),
        ("*/*.jpg", ["one/c.jpg", "two/e.jpg"]),
        ("one/**/?.jpg", ["one/c.jpg", "one/deep/er/d.jpg"]),
        ("o*/**", ["one/c.jpg", "one/deep/er/d.jpg"]),
        ("**/deep/**/*.jpg", ["one/deep/er/d.jpg"]),
        ("[ab].*", ["a.jpg", "b.png"]),
        ("[!a].*", ["b.png"]),
        (".*/*.jpg", [".hid/f.jpg"]),
        ("**/.*.jpg", ["one/.g.jpg"]),
    ],
)
def test_a_pattern_matches_what_the_shell_would(photos: Path, pattern: str, expected: list[str]) -> None:
    base = "one/" if pattern.startswith("one/") else ""
    assert keys(found(f"{photos}/{pattern}")) == [key.removeprefix(base) for key in expected]


def test_keys_and_source_are_of_the_part_before_the_first_magic_character(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    [source] = open_sources(["photos/on*/c.jpg"], SourceOptions())
    assert source.name == str(photos) and list(items(source)) == ["one/c.jpg"]
    assert [source.name for source in open_sources(["*/*.jpg"], SourceOptions())] == [str(photos.parent)]


def test_captions_count_though_the_pattern_does_not_match_them(photos: Path) -> None:
    write(photos / "a.txt", "an a")
    listed = found(f"{photos}/*.jpg")
    assert facts(listed)["a.jpg"].caption == "an a" and not skipped(listed)


def test_hidden_and_ignored_files_are_as_in_folders(photos: Path) -> None:
    options = SourceOptions(hidden=True, ignore=("two/",))
    assert keys(found(f"{photos}/*/*.jpg", options=options)) == [".hid/f.jpg", "one/.g.jpg", "one/c.jpg"]


def test_links_to_nothing_that_match_are_failures(photos: Path) -> None:
    (photos / "gone.jpg").symlink_to("nowhere")
    assert list(failures(found(f"{photos}/*.jpg"))) == ["gone.jpg"]


def test_a_pattern_without_a_match_is_named(photos: Path) -> None:
    for pattern in ("*.gif", "nowhere/*.jpg", "on?"):
        with pytest.raises(InputError, match="no file matches this pattern") as refused:
            found(f"{photos}/{pattern}")
        assert f"{photos}/{pattern}" in str(refused.value)
    with pytest.raises(InputError, match="no image matches this pattern"):
        found(f"{photos}/*.md")
    with pytest.raises(InputError, match=r"`\.\.` cannot follow"):
        found(f"{photos}/o*/../*.jpg")


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "x[1].jpg", png())
    write(tmp_path / "x1.jpg", png())
    assert keys(found(tmp_path / "x[1].jpg")) == ["x[1].jpg"]


def test_a_pattern_of_archives_opens_each(tmp_path: Path) -> None:
    for number in (2, 1):
        tar_of(tmp_path / f"shard-{number}.tar", {"x.png": png()})
    assert keys(found(f"{tmp_path}/shard-*.tar")) == ["shard-1.tar::x.png", "shard-2.tar::x.png"]
    with pytest.raises(InputError, match="no file matches"):
        found(f"{tmp_path}/none-*.tar")


PARTS = st.lists(st.sampled_from(["a", "b", "*", "**", "?", "[ab]"]), min_size=1, max_size=5)
PATH = st.lists(st.sampled_from(["a", "b", "cc"]), min_size=1, max_size=5)


@given(parts=PARTS, path=PATH)
def test_folders_are_left_out_only_where_nothing_below_can_match(parts: list[str], path: list[str]) -> None:
    pattern = GlobPattern(parts, hidden=False)
    prefixes = ["".join(f"{part}/" for part in path[:depth]) for depth in range(len(path))]
    if pattern.choose(prefixes[-1])(path[-1]):
        for depth, prefix in enumerate(prefixes[:-1]):
            assert pattern.choose(prefix)(f"{path[depth]}/")


@given(parts=PARTS, path=PATH)
def test_patterns_mean_what_a_plain_definition_says(parts: list[str], path: list[str]) -> None:
    def matched(parts: list[str], path: list[str]) -> bool:
        if not parts:
            return not path
        if parts[0] == "**":
            skip = len(parts) > 1 and matched(parts[1:], path)
            return skip or (bool(path) and (matched(parts, path[1:]) or (len(path) == 1 and len(parts) == 1)))
        letters = {"*": ("a", "b", "cc"), "?": ("a", "b"), "[ab]": ("a", "b")}.get(parts[0], (parts[0],))
        return bool(path) and path[0] in letters and matched(parts[1:], path[1:])

    prefix = "".join(f"{part}/" for part in path[:-1])
    assert GlobPattern(parts, hidden=False).choose(prefix)(path[-1]) == matched(parts, path)
