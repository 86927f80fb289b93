import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from clip_vectorizer.errors import InputError, WeaviateUnreachable
from clip_vectorizer.query.cli.search import main
from clip_vectorizer.query.cli.search_actions import run


def similar(query: str, source: object, limit: int = 10, as_json: bool = False) -> None:
    words = [query, "--similar-strings", str(source), "--limit", str(limit), *(["--json"] if as_json else [])]
    context = main.make_context("clip-search", words)
    run({**context.params, "weaviate_url": "http://127.0.0.1:1"})


@pytest.fixture
def names(tmp_path: Path) -> Path:
    file = tmp_path / "names.txt"
    file.write_bytes("\ufefffruit\r\n\nvegetables\n苹果\na\u2028b\nfruits".encode())
    return file


def test_the_nearest_lines_of_a_file_come_first(names: Path, capsys: pytest.CaptureFixture[str]) -> None:
    similar("fruit", names, limit=2)
    assert capsys.readouterr().out.splitlines() == ["distance  text", "0         fruit", "1         fruits"]


def test_as_json_every_string_is_a_line(names: Path, capsys: pytest.CaptureFixture[str]) -> None:
    similar("苹", names, as_json=True)
    rows = [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]
    assert rows[0] == {"text": "苹果", "distance": 1}
    assert {row["text"] for row in rows} == {"fruit", "vegetables", "苹果", "a\u2028b", "fruits"}


def test_a_line_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lines").write_text("\x1b[2Jowl")
    similar("owl", tmp_path / "lines")
    assert "\\x1b[2Jowl" in capsys.readouterr().out


def test_strings_may_come_from_standard_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"owl\nowls\n")))
    similar("owls", "-", limit=1)
    assert capsys.readouterr().out.splitlines()[1:] == ["0         owls"]


@pytest.mark.parametrize(
    "content, complaint",
    [(None, "No such file"), (b"\xff\xfe", "can't decode byte"), (b"\n \n", "no strings in it")],
)
def test_a_file_that_gives_no_strings_is_refused_by_name(tmp_path: Path, content: bytes | None, complaint: str) -> None:
    file = tmp_path / "names.txt"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InputError, match=complaint) as refused:
        similar("owl", file)
    assert str(file) in str(refused.value)


def test_only_a_property_needs_weaviate() -> None:
    with pytest.raises(WeaviateUnreachable, match=r"no Weaviate answers at http://127\.0\.0\.1:1 "):
        similar("owl", "PROPERTY:label")
