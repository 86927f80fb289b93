from pathlib import Path

import pytest

from ingest.demo.show import format_next_commands


def lines(model: str = "emoji", collection: str = "Image", is_temporary: bool = True) -> list[str]:
    return [
        line.strip() for line in format_next_commands(model, Path("my cat.png"), collection, is_temporary).splitlines()
    ]


def test_a_stack_that_ended_is_started_again_first() -> None:
    assert 'eval "$(clip-demo up)"' in lines()
    assert not any("clip-demo up" in line for line in lines(is_temporary=False))


def test_another_model_and_collection_are_named() -> None:
    told = lines(model="ViT-B-32::openai", collection="ClipDemo")
    assert 'eval "$(clip-demo up --model ViT-B-32::openai)"' in told
    assert all("--collection ClipDemo" in line for line in told if line.startswith(("clip-search", "clip-ingest")))


def test_file_names_are_quoted_for_the_shell() -> None:
    assert "clip-search --image 'my cat.png'" in lines()


def test_commands_that_are_not_on_path_are_put_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lines()[1].startswith((". ", "export PATH="))
