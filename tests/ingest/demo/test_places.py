import subprocess
from pathlib import Path

import pytest

from clip_vectorizer.errors import InputError, SettingsError
from clip_vectorizer.images import PIXELS_VERSION
from ingest.demo.places import Endpoints, choose_data_dir, find_images, read_environment_endpoints

HERE = Endpoints("http://127.0.0.1:8081", 50052, "secret", "http://127.0.0.1:9091")


def test_the_shell_lines_run_in_a_shell() -> None:
    script = f'{HERE.exports()}\necho "$WEAVIATE_URL $WEAVIATE_GRPC_PORT $WEAVIATE_API_KEY $VECTORIZER_URL"'
    output = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert output == "http://127.0.0.1:8081 50052 secret http://127.0.0.1:9091\n"


def test_the_shell_lines_are_four_exports() -> None:
    assert [line.split("=")[0] for line in HERE.exports().splitlines()] == [
        "export WEAVIATE_URL",
        "export WEAVIATE_GRPC_PORT",
        "export WEAVIATE_API_KEY",
        "export VECTORIZER_URL",
    ]


def test_the_environment_names_a_stack() -> None:
    env = {"WEAVIATE_URL": HERE.weaviate_url, "WEAVIATE_GRPC_PORT": "50052", "WEAVIATE_API_KEY": "secret"}
    assert read_environment_endpoints({**env, "VECTORIZER_URL": HERE.vectorizer_url}) == HERE


@pytest.mark.parametrize("env", [{}, {"WEAVIATE_URL": ""}, {"WEAVIATE_GRPC_PORT": "50052"}])
def test_without_a_url_the_environment_names_none(env: dict[str, str]) -> None:
    assert read_environment_endpoints(env) is None


@pytest.mark.parametrize("port", ["many", "0", "65536", "-1"])
def test_a_port_that_is_none_names_its_variable(port: str) -> None:
    with pytest.raises(SettingsError, match="WEAVIATE_GRPC_PORT="):
        read_environment_endpoints({"WEAVIATE_URL": "http://localhost:8080", "WEAVIATE_GRPC_PORT": port})


def test_every_model_has_a_folder_of_its_own(tmp_path: Path) -> None:
    env = {"XDG_CACHE_HOME": str(tmp_path)}
    models = ["emoji", "ViT-B-32::openai", "ViT-B-32--openai", "ViT-B-32:/openai", "local-dir:../x"]
    folders = {choose_data_dir(model, env) for model in models}
    assert len(folders) == len(models)
    assert {folder.parent for folder in folders} == {tmp_path / "clip-vectorizer" / "stacks"}
    assert choose_data_dir("emoji", env) == choose_data_dir("emoji", env)
    assert all(folder.name.endswith(f"-v{PIXELS_VERSION}") for folder in folders), "pixels of two versions would mix"


def test_images_are_the_named_folder_or_the_examples_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_images(tmp_path) == tmp_path
    (tmp_path / "examples" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_images(None) == Path("examples/images")


def test_without_examples_the_error_names_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="clip-demo --images FOLDER"):
        find_images(None, checkout=tmp_path)
