"""Names that are no models: what the sentence has, and what it has not."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from clip_vectorizer.cli import main
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.name_problems import check_name, explain_folder
from clip_vectorizer.models.names import find_near_names
from tests.models.small import CPU

SECRET = "hunter2"
ARCHITECTURES = ["RN50", "ViT-B-16", "ViT-B-32", "ViT-B-32-quickgelu", "ViT-L-14", "ViT-L-14-336"]
HUB_NAME = "a repository on the hub is hf-hub:org/name"
REFUSED = {
    "": "is empty: give one with --model (CLIP_MODEL), for example emoji",
    "  ": "is empty",
    "local-dir:": "local-dir: has nothing after it; expected local-dir:PATH",
    "local-dir: ": "local-dir: has nothing after it",
    "hf-hub:": "expected hf-hub:ORG/NAME",
    "hf-hub:org": "hf-hub:org does not name a repository; expected hf-hub:ORG/NAME",
    "hf-hub:a/b/c": "does not name a repository",
    "taiyi:": "expected taiyi:TEXT,IMAGE",
    "chinese-clip:": "expected chinese-clip:PATH",
    "https://huggingface.co/org/name": HUB_NAME,
    "https://huggingface.co/org/name/tree/main": HUB_NAME,
    "hf-hub:https://huggingface.co/org/name": HUB_NAME,
    f"https://user:{SECRET}@example.org/model.pt?key={SECRET}": "https://example.org/model.pt is an address",
    "s3://bucket/model.pt": "download the file first, and name its path, with --architecture",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_cannot_be_one_is_refused_with_what_was_expected(name: str) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        load_encoder(ModelName(name), CPU)
    assert REFUSED[name] in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["emoji", "ViT-B-32::openai", "hf-hub:org/name", "hf-hub:org/name@v1", "local-dir:.", "weights.pt", "C:\\x.pt"],
)
def test_a_name_that_may_be_one_is_left_to_its_loader(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("ViT-B-23", ["ViT-B-32", "ViT-B-16"]),
        ("vit-l14", ["ViT-L-14"]),
        ("RN05", ["RN50"]),
        ("ViT-B-32-quickgleu", ["ViT-B-32-quickgelu"]),
        ("resnet-of-mine", []),
    ],
)
def test_the_nearest_names_are_those_with_the_fewest_edits(name: str, near: list[str]) -> None:
    assert find_near_names(name, ARCHITECTURES) == near


def test_an_architecture_without_its_weights_is_answered_with_them() -> None:
    with pytest.raises(ModelUnavailable, match=r"ViT-H-14 is an architecture, .*: ViT-H-14::laion2b_s32b_b79k"):
        load_encoder(ModelName("ViT-H-14"), CPU)


@pytest.mark.parametrize("inside", ["model", "snapshots/c0ffee"])
def test_a_model_one_level_down_is_named(inside: str, tmp_path: Path) -> None:
    (tmp_path / inside).mkdir(parents=True)
    (tmp_path / inside / "config.json").write_text("{}")
    assert f"name that as local-dir:{tmp_path / inside}" in explain_folder(tmp_path)
    for name in (str(tmp_path), f"local-dir:{tmp_path}"):
        with pytest.raises(ModelUnavailable, match=f"name that as local-dir:{tmp_path / inside}"):
            load_encoder(ModelName(name), CPU)


@pytest.mark.parametrize("command", ["serve", "doctor"])
def test_an_empty_model_is_a_usage_error_and_not_the_default(command: str) -> None:
    for words, variables in (([command, "--model", ""], {}), ([command], {"CLIP_MODEL": " "})):
        ran = CliRunner().invoke(main, words, env=variables)
        assert ran.exit_code == 2
        assert "--model (CLIP_MODEL) is empty: name a model, for example emoji" in ran.output
