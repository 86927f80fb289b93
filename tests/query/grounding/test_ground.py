"""Grounding of a sentence in a file and in a stored image, through fakes of the sidecar and of the database."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import pytest
from PIL import Image

from clip_vectorizer.errors import InputError, SidecarRefused, VectorizerError
from clip_vectorizer.query import AsyncImageSearch, ImageSearch
from clip_vectorizer.query.grounding.ground import GroundArguments
from clip_vectorizer.query.grounding.groundings import PictureGroundings
from clip_vectorizer.query.grounding.image_names import GroundInput
from clip_vectorizer.query.grounding.phrases import MAX_PHRASES
from clip_vectorizer.query.hits import Hit
from tests.query.fakes import INFO, FakeImages, picture
from tests.query.grounding.fakes import LEFT, RIGHT, VECTORS_ND, FakeGroundingSidecar, FakeRegions, build_context
from tests.query.zeroshot_fakes import stores


def build_search(sidecar: FakeGroundingSidecar | None = None, regions: FakeRegions | None = None) -> ImageSearch:
    context = build_context(sidecar, regions or FakeRegions())
    return ImageSearch(INFO, sidecar or FakeGroundingSidecar(), FakeImages(), stores, grounding=context)


def ground(image: GroundInput, sentence: str = "", **arguments: Unpack[GroundArguments]) -> PictureGroundings:
    return build_search().ground(image, sentence, **arguments)


def test_each_phrase_gets_the_boxes_that_fit_it_best_first() -> None:
    found = ground(picture("red"), "a green leaf next to red apples")
    assert [each.phrase.text for each in found] == ["green leaf", "red apples"]
    assert [[box.box for box in each.boxes] for each in found] == [[RIGHT], [LEFT]]  # the smaller left one is the same
    assert found.size == (2, 2) and found[0].boxes[0].pixels == (1, 0, 2, 2)
    assert found["red apples"].phrase.span == (21, 31) and not found.stored


def test_a_phrase_without_a_box_is_not_in_the_picture() -> None:
    found = ground(picture("red"), "a red apple and a blue car")
    assert [each.present for each in found] == [True, False]
    assert found["blue car"].boxes == () and found["blue car"].probability == 0
    assert str(found["blue car"]) == "blue car: not in the picture"
    assert [phrase.text for phrase in found.missing] == ["blue car"]


def test_the_number_of_boxes_counts() -> None:
    found = ground(picture("red"), "white things", threshold=0.5, nms=0.95)
    assert len(found["white things"].boxes) == 3
    assert len(ground(picture("red"), "white things", threshold=0.5, top=2)[0].boxes) == 2


def test_a_place_goes_to_one_phrase_if_exclusive() -> None:
    both = ["red apple", "red and white apple"]
    assert [each.present for each in ground(picture("red"), phrases=both, threshold=0.6)] == [True, True]
    first, second = ground(picture("red"), phrases=both, threshold=0.6, exclusive=True)
    assert [box.box for box in first.boxes] == [LEFT] and second.boxes == ()


def test_the_prompts_of_a_phrase_are_those_of_its_language_and_the_model() -> None:
    sidecar = FakeGroundingSidecar()
    build_search(sidecar).ground(picture("red"), phrases=["red cat", "猫"])
    assert [len(prompts) for prompts in sidecar.phrases] == [7, 7]
    assert "itap of a red cat." in sidecar.phrases[0] and "一张猫的照片。" in sidecar.phrases[1]
    build_search(sidecar).ground(picture("red"), "a red cat", templates=["see {}"])
    assert sidecar.phrases == [["see red cat"]]


def test_a_stored_image_needs_no_pass_over_the_picture() -> None:
    sidecar, regions = FakeGroundingSidecar(), FakeRegions()
    found = build_search(sidecar, regions).ground("scene.png", "a green leaf and a blue car")
    assert [[box.box for box in each.boxes] for each in found] == [[RIGHT], []]
    assert found.stored and found.size is None and found[0].boxes[0].pixels is None
    assert regions.keys == ["scene.png"] and sidecar.batches == [] and sidecar.texts == []
    assert len(sidecar.phrases) == 2 and sidecar.stored[0].vectors_nd is regions.vectors_nd


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(404, "no such route"), (405, "POST is not allowed"), (400, 'image is missing; send {"image": "..."}')],
)
def test_a_sidecar_of_an_earlier_version_gives_vectors_that_are_compared_here(status: int, sentence: str) -> None:
    sidecar = FakeGroundingSidecar(stored_refusal=SidecarRefused(status, sentence))
    found = build_search(sidecar).ground("scene.png", "a green leaf and a blue car")
    assert [[box.box for box in each.boxes] for each in found] == [[RIGHT], []]
    assert "itap of a green leaf." in sidecar.texts and "nothing" in sidecar.texts


def test_regions_that_the_sidecar_refuses_are_an_error() -> None:
    refusal = SidecarRefused(400, "regions.vectors: 3 numbers each, and emoji has 192 dimensions")
    with pytest.raises(SidecarRefused, match="3 numbers each") as caught:
        build_search(FakeGroundingSidecar(stored_refusal=refusal)).ground("scene.png", "a red apple")
    assert caught.value is refusal


def test_a_hit_of_a_search_is_a_stored_image() -> None:
    regions = FakeRegions()
    with pytest.raises(InputError, match=r"no image .* the-id"):
        build_search(regions=regions).ground(Hit("scene.png", 1, 0, "the-id", "", ""), "a cat")
    assert regions.keys == ["the-id"]


def test_a_name_is_that_of_the_file_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert ground("scene.png", "a green leaf").stored
    Path("scene.png").write_bytes(picture("red"))
    assert not ground("scene.png", "a green leaf").stored
    assert not ground(Path("scene.png"), "a green leaf").stored
    assert ground("scene.png", "a green leaf", stored=True).stored


def test_the_stored_regions_are_not_taken_for_a_picture_without_a_name() -> None:
    with pytest.raises(InputError, match="this picture has no name, so remove stored"):
        ground(picture("red"), "a cat", stored=True)


def test_an_open_picture_is_grounded_too() -> None:
    found = ground(Image.new("RGB", (4, 2), "red"), "a red wall")
    assert found.path == "images[0]" and found[0].boxes[0].pixels == (0, 0, 2, 2)


def test_a_phrase_that_was_not_asked_for_is_refused_with_a_near_one() -> None:
    with pytest.raises(InputError, match="no phrase is 'red aple'; did you mean red apple"):
        ground(picture("red"), "a red apple")["red aple"]


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (b"", r"images\[0\]: the file is empty"),
        (b"text", r"images\[0\]: .*not an image; give a JPEG or PNG file"),
        ("nosuch.png", "no file and no image of the collection Image is called nosuch.png"),
        (f"{'x' * 9000}.png", "no file and no image"),
        ("nul\0.png", "no file and no image"),
    ],
)
def test_an_image_that_cannot_be_read_is_named(image: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        ground(image, "a cat")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a folder, and one image is expected"):
        ground(tmp_path, "a cat")


def test_without_a_collection_a_name_that_is_no_file_is_refused() -> None:
    search = ImageSearch(INFO, FakeGroundingSidecar(), None, stores, grounding=build_context())
    with pytest.raises(InputError, match=r"nosuch\.png: no such file, and connected without a collection"):
        search.ground("nosuch.png", "a cat")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"threshold": 50}, "threshold 50: expected a probability"),
        ({"threshold": float("nan")}, "threshold nan"),
        ({"nms": -0.1}, "nms -0.1: expected an overlap"),
        ({"top": 0}, "top 0: expected how many boxes"),
        ({"top": True}, "top True"),
        ({"phrases": []}, "a phrase is empty"),
        ({"phrases": ["cat"] * (MAX_PHRASES + 1)}, "201 phrases"),
        ({"prompts": "foto"}, "no prompt set is called 'foto'; did you mean photo"),
    ],
)
def test_an_argument_that_cannot_be_used_is_refused_before_anything_is_sent(
    arguments: GroundArguments, reason: str
) -> None:
    sidecar = FakeGroundingSidecar()
    with pytest.raises(InputError, match=reason):
        build_search(sidecar).ground(picture("red"), "a cat", **arguments)
    assert sidecar.phrases == [] and sidecar.texts == []


def test_a_score_that_is_no_number_is_an_error_of_its_phrase() -> None:
    with pytest.raises(VectorizerError, match="the score of 'red apple' is no number"):
        build_search(FakeGroundingSidecar(factor=float("nan"))).ground(picture("red"), "a red apple")


def test_a_stored_vector_that_is_no_number_is_an_error() -> None:
    regions = FakeRegions(vectors_nd=VECTORS_ND * VECTORS_ND.dtype.type("nan"))
    with pytest.raises(VectorizerError, match="is no number"):
        build_search(regions=regions).ground("scene.png", "a red apple")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (501, "the sidecar has no grounder .*--grounder auto.*--stored"),
        (404, "older than this command and has no POST /ground; update it"),
        (405, "older than this command"),
    ],
)
def test_a_sidecar_that_cannot_ground_is_an_error_with_the_way_out(status: int, reason: str) -> None:
    sidecar = FakeGroundingSidecar(refusal=SidecarRefused(status, "no grounder"))
    with pytest.raises(SidecarRefused, match=reason):
        build_search(sidecar).ground(picture("red"), "a cat")


@pytest.mark.parametrize("image", [picture("red"), "scene.png"], ids=["a file", "a stored image"])
def test_an_image_only_model_is_named_and_not_the_grounder(image: GroundInput) -> None:
    sidecar, regions = FakeGroundingSidecar(refusal=SidecarRefused(501, "no texts")), FakeRegions()
    info = replace(INFO, texts=False)
    search = ImageSearch(info, sidecar, FakeImages(), stores, grounding=build_context(sidecar, regions, info))
    with pytest.raises(InputError, match=f"^phrases are texts, and {INFO.model} is an image-only model; ground with"):
        search.ground(image, "a cat")
    assert regions.keys == [] and sidecar.stored == []


def test_a_grounder_that_reads_texts_itself_works_beside_an_image_only_model() -> None:
    info = replace(INFO, texts=False)
    context = build_context(info=info)
    search = ImageSearch(info, FakeGroundingSidecar(), FakeImages(), stores, grounding=context)
    assert search.ground(picture("red"), "a red apple")["red apple"].present


def test_a_picture_that_the_sidecar_refuses_is_named() -> None:
    sidecar = FakeGroundingSidecar(refusal=SidecarRefused(413, "100,000,001 pixels are too many"))
    with pytest.raises(InputError, match=r"images\[0\]: 100,000,001 pixels"):
        build_search(sidecar).ground(picture("red"), "a cat")


def test_another_error_of_the_sidecar_stays_as_it_is() -> None:
    refusal = SidecarRefused(503, "the queue is full")
    with pytest.raises(SidecarRefused, match="the queue is full") as caught:
        build_search(FakeGroundingSidecar(refusal=refusal)).ground(picture("red"), "a cat")
    assert caught.value is refusal


def test_a_search_that_is_closed_or_has_no_parts_does_not_ground() -> None:
    search = build_search()
    search.close()
    with pytest.raises(InputError, match="closed; connect again"):
        search.ground(picture("red"), "a cat")
    with pytest.raises(InputError, match="no parts to ground with"):
        ImageSearch(INFO, FakeGroundingSidecar(), FakeImages(), stores).ground(picture("red"), "a cat")


def test_the_async_search_returns_the_same() -> None:
    search = build_search()
    found = asyncio.run(AsyncImageSearch(search, None, "").ground(picture("red"), "a red apple", top=1))
    assert found == search.ground(picture("red"), "a red apple", top=1)
