from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clip_vectorizer.errors import SettingsError
from clip_vectorizer.server.settings import Settings, parse_settings

NUMBERS = ["PORT", "THREADS", "DECODE_THREADS", "MAX_BATCH", "MAX_ITEMS", "MAX_QUEUE", "MAX_BODY_BYTES", "MAX_PIXELS"]
TEXTS = ["DEVICE", "PRECISION", "BASIC_AUTH"]


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = parse_settings({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.model) == ("127.0.0.1", 9090, "emoji")


def test_every_variable_is_read() -> None:
    settings = parse_settings(
        {"CLIP_MODEL": "ViT-B-32::openai", "CLIP_HOST": "0.0.0.0", "CLIP_PORT": "8080", "CLIP_MAX_BATCH": "7"}
    )
    assert (settings.model, settings.host, settings.port) == ("ViT-B-32::openai", "0.0.0.0", 8080)
    assert settings.limits.max_batch == 7


@pytest.mark.parametrize("name", NUMBERS + TEXTS)
@given(text=st.text())
def test_any_text_is_taken_or_refused_by_the_name_of_its_variable(name: str, text: str) -> None:
    try:
        parse_settings({f"CLIP_{name}": text})
    except SettingsError as error:
        assert f"CLIP_{name}" in str(error)


@pytest.mark.parametrize(
    ("environment", "device"),
    [
        ({}, "cpu"),
        ({"CLIP_DEVICE": "cuda:1", "ENABLE_CUDA": "1"}, "cuda:1"),
        ({"ENABLE_CUDA": "true"}, "cuda:0"),
        ({"ENABLE_CUDA": "1", "CUDA_CORE": "cuda:2"}, "cuda:2"),
        ({"ENABLE_CUDA": "0", "CUDA_CORE": "cuda:2"}, "cpu"),
        ({"ENABLE_CUDA": "false"}, "cpu"),
        ({"CLIP_DEVICE": "cuda:0, cuda:1"}, "cuda:0,cuda:1"),
        ({"CLIP_DEVICE": "cuda:all"}, "cuda:all"),
        ({"CLIP_DEVICE": "cpu,cpu"}, "cpu,cpu"),
    ],
)
def test_the_device_is_ours_else_the_upstream_containers(environment: dict[str, str], device: str) -> None:
    assert parse_settings(environment).device == device


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CLIP_PORT", "70000"),
        ("CLIP_MAX_BATCH", "0"),
        ("CLIP_MAX_BATCH", "many"),
        ("CLIP_DEVICE", "gpu"),
        ("CLIP_DEVICE", "cuda:0,"),
        ("CLIP_DEVICE", "cuda:all,cuda:1"),
        ("CLIP_DEVICE", "cpu,cuda:0"),
        ("CLIP_DEVICE", "cuda:-1"),
        ("CLIP_PRECISION", "int4"),
        ("ENABLE_CUDA", "yes"),
        ("CLIP_BASIC_AUTH", "nocolon"),
        ("CLIP_GROUNDER", "tile"),
        ("CLIP_GROUNDER", "owlv2:"),
        ("CLIP_CAPTIONER", "blip"),
        ("CLIP_CAPTIONER", "coca:"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        parse_settings({name: text})


def test_keys_come_with_commas_between() -> None:
    assert parse_settings({"CLIP_API_KEYS": " one, zwei "}).api_keys == ("one", "zwei")
    assert parse_settings({"CLIP_API_KEYS": ""}).api_keys == ()


@pytest.mark.parametrize(
    "env", [{"CLIP_API_KEYS": "a,,b"}, {"CLIP_API_KEYS": "a b"}, {"CLIP_API_KEYS": ","}, {"CLIP_LOG_LEVEL": "loud"}]
)
def test_the_error_for_an_invalid_key_or_level_names_its_variable_and_no_key(env: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(env))) as error:
        parse_settings(env)
    assert "a b" not in str(error.value)


def test_the_sidecar_takes_its_password_and_keys_from_files(tmp_path: Path) -> None:
    (tmp_path / "login").write_text("weaviate:pass word\n")
    (tmp_path / "keys").write_text("key1,key2\n")
    env = {"CLIP_BASIC_AUTH_FILE": str(tmp_path / "login"), "CLIP_API_KEYS_FILE": str(tmp_path / "keys")}
    settings = parse_settings(env)
    assert (settings.basic_auth, settings.api_keys) == ("weaviate:pass word", ("key1", "key2"))
