"""The images that the demo picks, and the commands that it prints at its end."""

from pathlib import Path

import pytest

from clip_vectorizer.defaults import PRODUCTION_MODEL
from clip_vectorizer.errors import InputError
from clip_vectorizer.query.grounding.phrases import find_phrases
from ingest.demo.grounding import SCENE, SENTENCE
from ingest.demo.show import (
    CLASSIFIED_IMAGES,
    HINT_IMAGE,
    HINT_LABELS,
    HINT_THING,
    QUERY_IMAGE,
    format_model_hint,
    format_next_commands,
    list_label_names,
    open_demo_stack,
    pick_images_to_classify,
    pick_query_image,
)

REPOSITORY = Path(__file__).parents[3]


def put(folder: Path, *keys: str, caption: str = "") -> Path:
    for key in keys:
        file = folder / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"\x89PNG")
        if caption:
            file.with_suffix(".txt").write_text(caption.format(file.stem), "utf-8")
    return folder


def test_the_examples_show_the_well_known_ones(tmp_path: Path) -> None:
    put(tmp_path, QUERY_IMAGE, *CLASSIFIED_IMAGES, "animals/zebra.png")
    assert pick_query_image(tmp_path) == tmp_path / QUERY_IMAGE
    assert [image.key for image in pick_images_to_classify(tmp_path)] == list(CLASSIFIED_IMAGES)


def test_the_folder_of_this_repository_holds_the_well_known_ones() -> None:
    examples = REPOSITORY / "examples" / "images"
    assert all((examples / key).is_file() for key in (QUERY_IMAGE, HINT_IMAGE, *CLASSIFIED_IMAGES))


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100])
def test_another_folder_shows_a_spread_of_what_it_holds(tmp_path: Path, count: int) -> None:
    put(tmp_path, *(f"{index:03}.png" for index in range(count)))
    chosen = pick_images_to_classify(tmp_path)
    assert len(chosen) == min(count, len(CLASSIFIED_IMAGES))
    assert pick_query_image(tmp_path) == tmp_path / "000.png"


def test_labels_are_the_english_names_of_the_captions_each_once(tmp_path: Path) -> None:
    put(tmp_path, "a/dog.png", "b/dog.png", "a/fox.png", caption="{}, wild · 狗")
    assert list_label_names(pick_images_to_classify(tmp_path)) == ["dog wild", "fox wild"]


def test_labels_are_the_folders_where_there_are_no_captions(tmp_path: Path) -> None:
    put(tmp_path, "dogs/1.png", "cats/1.png")
    assert list_label_names(pick_images_to_classify(tmp_path)) == ["cats", "dogs"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    return put(tmp_path / "icons", "my cat.png")


def lines(pictures: Path, model: str = "emoji", collection: str = "Image", is_temporary: bool = True) -> list[str]:
    return [line.strip() for line in format_next_commands(model, pictures, collection, is_temporary).splitlines()]


def test_a_stack_that_ended_is_started_again_first(pictures: Path) -> None:
    assert 'eval "$(clip-demo up)"' in lines(pictures)
    assert not any("clip-demo up" in line for line in lines(pictures, is_temporary=False))


def test_another_model_and_collection_are_named(pictures: Path) -> None:
    output = lines(pictures, model="ViT-B-32::openai", collection="ClipDemo")
    assert 'eval "$(clip-demo up --model ViT-B-32::openai)"' in output
    assert all("--collection ClipDemo" in line for line in output if line.startswith(("clip-search", "clip-ingest")))


@pytest.mark.parametrize("is_temporary", [True, False])
def test_the_last_lines_open_the_search_page_while_a_stack_runs(pictures: Path, is_temporary: bool) -> None:
    output = lines(pictures, collection="ClipDemo", is_temporary=is_temporary)
    page = output.index(f"clip-gallery --collection ClipDemo --root {pictures} --open")
    assert output[page + 1] == "clip-demo down" and 'eval "$(clip-demo up)"' not in output[page:]
    assert "search page in the browser" in output[-1]


def test_file_names_are_quoted_for_the_shell(pictures: Path) -> None:
    assert f"clip-search --image '{pictures / 'my cat.png'}'" in lines(pictures)


def test_the_image_to_classify_is_one_that_the_bundled_model_recognises(tmp_path: Path) -> None:
    put(tmp_path, QUERY_IMAGE, HINT_IMAGE)
    assert f'clip-classify --labels "{HINT_LABELS}" {tmp_path / HINT_IMAGE}' in lines(tmp_path)
    assert Path(HINT_IMAGE).stem in HINT_LABELS.split(",")


def test_commands_that_are_not_on_path_are_put_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pictures: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert lines(pictures)[1].startswith((". ", "export PATH="))


def test_a_scene_beside_the_folder_is_one_to_try(pictures: Path) -> None:
    assert not any(line.startswith("clip-ground") for line in lines(pictures))
    scene = put(pictures.parent, str(SCENE)) / SCENE
    assert f'clip-ground {scene} "{HINT_THING}" --png boxes.png' in lines(pictures)


def test_the_folder_of_this_repository_holds_the_scene() -> None:
    """The sentence names one thing that it shows and one that it does not."""
    caption = (REPOSITORY / "examples" / SCENE).with_suffix(".txt").read_text(encoding="utf-8")
    assert [phrase.text in caption for phrase in find_phrases(SENTENCE)] == [True, False]
    assert HINT_THING in caption


def test_a_model_is_refused_where_the_environment_names_a_sidecar(tmp_path: Path) -> None:
    env = {"WEAVIATE_URL": "http://w:1", "VECTORIZER_URL": "http://v:1", "XDG_CACHE_HOME": str(tmp_path)}
    with open_demo_stack(None, env) as stack:
        assert stack.endpoints.vectorizer_url == "http://v:1"
    with pytest.raises(InputError, match="--model emoji does not work with WEAVIATE_URL"):
        open_demo_stack("emoji", env).__enter__()


def test_the_bundled_model_is_followed_by_a_hint_of_one_for_photographs() -> None:
    hint = format_model_hint("emoji")
    assert f"--model {PRODUCTION_MODEL}" in hint
    assert all(len(line) <= 80 for line in hint.splitlines())
    assert format_model_hint("ViT-B-32::openai") == ""
