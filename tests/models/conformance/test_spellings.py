"""OpenAI's nine models load by every name, offline, from the files that OpenAI's package leaves on a machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import pytest

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models import openclip
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.names import OPENAI_NAMES, TAG, resolve_name
from tests.models.conformance.openai_files import ARCHIVES, save_archive, small_config

FILES = dict(zip(OPENAI_NAMES, ARCHIVES, strict=True))
STORE = Path(".cache/clip")


def refuse(_entry: object) -> str:
    raise OSError("no network")


@contextmanager
def small_architectures(folder: Path) -> Iterator[None]:
    """open_clip's nine architectures at the sizes of the small archives."""
    for name, file in FILES.items():
        architecture = resolve_name(name).partition(TAG)[0]
        (folder / f"{architecture}.json").write_text(json.dumps(small_config(file)), "utf-8")
    paths: Any = open_clip.factory._MODEL_CONFIG_PATHS
    open_clip.add_model_config(folder)
    try:
        yield
    finally:
        paths.remove(folder)
        open_clip.factory._rescan_model_configs()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    (folder / STORE).mkdir(parents=True)
    for file in FILES.values():
        save_archive(folder / STORE / file)
    with small_architectures(tmp_path_factory.mktemp("architectures")):
        yield folder
    for file in FILES.values():
        (folder / STORE / file).unlink()


def test_the_files_are_those_of_openais_addresses() -> None:
    for name, file in FILES.items():
        assert openclip.find_openai_file(open_clip.get_pretrained_cfg(*resolve_name(name).split(TAG))).name == file


@pytest.mark.parametrize("name", FILES)
def test_both_spellings_load_the_archive_without_a_network(
    name: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    by_path = load_encoder(ModelName(str(home / STORE / FILES[name])), Placement())
    [resolved] = {resolve_name(spelling) for spelling in (name, resolve_name(name))}
    architecture, _, tag = resolved.partition(TAG)
    found = openclip.load_tag(architecture, tag, Placement(), refuse).info
    assert found.model == resolved
    assert (found.revision, found.image_size) == (by_path.info.revision, by_path.info.image_size)


def test_the_file_of_another_model_is_refused_by_its_shapes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(home))
    right, wrong = home / STORE / FILES["ViT-B/32"], home / STORE / FILES["ViT-B/16"]
    kept = right.read_bytes()
    try:
        right.write_bytes(wrong.read_bytes())
        with pytest.raises(ModelUnavailable, match=r"ViT-B-32\.pt does not fit --architecture ViT-B-32"):
            openclip.load_tag("ViT-B-32", "openai", Placement(), refuse)
    finally:
        right.write_bytes(kept)
