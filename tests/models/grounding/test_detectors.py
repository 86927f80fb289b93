"""The detectors of transformers as grounders: what they return is what transformers' own post-processing returns."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from clip_vectorizer.boxes import areas
from clip_vectorizer.errors import ModelUnavailable, NoGrounder
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.detectors import Detector, load_detector
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.grounding.catalog import choose_scorer, load_grounder
from clip_vectorizer.models.grounding.fused import CaptionReader, ClassReader, FusedGrounder
from clip_vectorizer.models.grounding.grounder import Groundings, RegionVectors
from clip_vectorizer.models.grounding.owl import OwlGrounder
from clip_vectorizer.models.names import DETECTORS, OWL
from clip_vectorizer.models.owl import OwlTowers
from clip_vectorizer.models.pauses import set_break_work
from tests.fakes import HashEncoder
from tests.models.grounding.small_grounders import CONTEXT, DINO, GROUNDERS

FUSED = [name for name in DETECTORS if name not in OWL]
DINOS = ["grounding-dino:", "mm-grounding-dino:"]
PHRASES = ["a red apple", "a cat", "the green house"]
WIDE, HIGH = 60, 40
CLOSE = 1e-5


def noise(width: int = WIDE, height: int = HIGH) -> Image.Image:
    pixels = np.random.default_rng(5).integers(0, 255, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Detector]:
    """Each kind is saved and loaded once."""
    loaded: dict[str, Detector] = {}

    def load(kind: str) -> Detector:
        if kind not in loaded:
            folder = GROUNDERS[kind](tmp_path_factory.mktemp("grounder") / "model")
            loaded[kind] = load_detector(f"{kind}{folder}", "cpu")
        return loaded[kind]

    return load


Load = Callable[[str], Detector]


def ask_transformers(
    detector: Detector, image: Image.Image, phrases: Sequence[str], **options: Any
) -> Mapping[str, Any]:
    """The result of transformers' own processor, model and post-processing."""
    inputs = detector.processor(images=image, text=[list(phrases)], return_tensors="pt")
    with torch.inference_mode():
        outputs = detector.model(**inputs)
    sizes = [(image.height, image.width)]
    [found] = detector.processor.post_process_grounded_object_detection(
        outputs, target_sizes=sizes, text_labels=[list(phrases)], **options
    )
    return {
        name: found[name].numpy() for name in ("boxes", "scores", "labels") if torch.is_tensor(dict(found).get(name))
    }


def clipped(boxes_n4: np.ndarray, image: Image.Image) -> np.ndarray:
    """Boxes in pixels as shares of the picture, within it."""
    return (boxes_n4 / np.array([image.width, image.height] * 2)).clip(0, 1)


def nearest(boxes_n4: np.ndarray, box: np.ndarray) -> int:
    return int(np.abs(boxes_n4 - box).max(axis=1).argmin())


def singles(phrases: Sequence[str]) -> list[list[str]]:
    return [[phrase] for phrase in phrases]


@pytest.mark.parametrize("kind", OWL)
@pytest.mark.parametrize("size", [(60, 40), (40, 60), (32, 32)])
def test_owl_returns_boxes_and_scores_of_transformers(detector: Load, kind: str, size: tuple[int, int]) -> None:
    """Also where the picture is padded to a square: OWLv2 pads it at its right or its bottom, OWL-ViT squashes it."""
    image = noise(*size)
    ours = OwlGrounder(OwlTowers(detector(kind))).ground(image, singles(PHRASES))
    theirs = ask_transformers(detector(kind), image, PHRASES, threshold=0.0)
    assert len(theirs["boxes"]) == len(ours.regions.boxes_n4) == 16
    for box, score, label in zip(clipped(theirs["boxes"], image), theirs["scores"], theirs["labels"], strict=True):
        index = nearest(ours.regions.boxes_n4, box)
        np.testing.assert_allclose(ours.regions.boxes_n4[index], box, atol=CLOSE)
        assert ours.probabilities_pn[:, index].max() == pytest.approx(score, abs=CLOSE)
        assert ours.probabilities_pn[:, index].argmax() == label


@pytest.mark.parametrize("kind", DINOS)
def test_grounding_dino_reads_the_caption_that_its_processor_makes(detector: Load, kind: str) -> None:
    """The best token of each box has the score of transformers, and a phrase the mean over its tokens."""
    loaded, image = detector(kind), noise()
    seen: list[Any] = []
    hook = loaded.model.register_forward_hook(
        lambda _module, _args, kwargs, out: seen.append((kwargs, out)), with_kwargs=True
    )
    ours = FusedGrounder(loaded).ground(image, singles(PHRASES))
    theirs = ask_transformers(loaded, image, PHRASES, threshold=0.0)
    hook.remove()
    (own_inputs, own), (their_inputs, _) = seen
    for name in ("input_ids", "attention_mask", "token_type_ids", "pixel_values", "pixel_mask"):
        assert torch.equal(own_inputs[name], their_inputs[name])
    np.testing.assert_allclose(own.logits[0].sigmoid().amax(1).numpy(), theirs["scores"], atol=CLOSE)
    tokens = own_inputs["input_ids"][0].tolist()
    stops = [
        index for index, token in enumerate(tokens) if token == loaded.processor.tokenizer.convert_tokens_to_ids(".")
    ]
    spans = list(zip([1, *(stop + 1 for stop in stops)], stops, strict=False))
    assert len(spans) == len(PHRASES)
    for box, probabilities in zip(clipped(theirs["boxes"], image), own.logits[0].sigmoid().numpy(), strict=True):
        index = nearest(ours.regions.boxes_n4, box)
        np.testing.assert_allclose(ours.regions.boxes_n4[index], box, atol=CLOSE)
        means = [probabilities[start:stop].mean() for start, stop in spans]
        np.testing.assert_allclose(ours.probabilities_pn[:, index], means, atol=CLOSE)


@pytest.mark.parametrize("kind", DINOS)
def test_a_phrase_of_one_token_has_the_score_of_transformers(detector: Load, kind: str) -> None:
    ours = FusedGrounder(detector(kind)).ground(noise(), [["cat"]])
    inputs = detector(kind).processor(images=noise(), text=[["cat"]], return_tensors="pt")
    with torch.inference_mode():
        logits_nt = detector(kind).model(**inputs).logits[0]
    np.testing.assert_allclose(
        np.sort(ours.probabilities_pn[0]), np.sort(logits_nt[:, 1].sigmoid().numpy()), atol=CLOSE
    )


def test_omdet_turbo_returns_boxes_and_scores_of_transformers(detector: Load) -> None:
    loaded, image = detector("omdet-turbo:"), noise()
    ours = FusedGrounder(loaded).ground(image, singles(PHRASES))
    theirs = ask_transformers(loaded, image, PHRASES, threshold=0.0, nms_threshold=0.5)
    assert len(theirs["boxes"]) >= 3
    for box, score, label in zip(clipped(theirs["boxes"], image), theirs["scores"], theirs["labels"], strict=True):
        index = nearest(ours.regions.boxes_n4, box)
        np.testing.assert_allclose(ours.regions.boxes_n4[index], box, atol=CLOSE)
        assert ours.probabilities_pn[label, index] == pytest.approx(score, abs=CLOSE)


@pytest.mark.parametrize("kind", DETECTORS)
def test_one_pass_over_the_picture_serves_all_phrases(detector: Load, kind: str) -> None:
    loaded, passes = detector(kind), []
    images = [module for name, module in loaded.model.named_modules() if name.endswith(("vision_model", "backbone"))]
    hooks = [module.register_forward_hook(lambda *_: passes.append(1)) for module in images[:1]]
    grounder = OwlGrounder(OwlTowers(loaded)) if kind in OWL else FusedGrounder(loaded)
    found = grounder.ground(noise(), singles(PHRASES))
    for hook in hooks:
        hook.remove()
    assert len(passes) == 1 and len(found.probabilities_pn) == 3


@pytest.mark.parametrize("kind", DETECTORS)
def test_answers_have_the_shapes_of_the_contract(detector: Load, kind: str) -> None:
    grounder = OwlGrounder(OwlTowers(detector(kind))) if kind in OWL else FusedGrounder(detector(kind))
    found = grounder.ground(noise(), [["a cat", "a photo of a cat"], ["a dog"]])
    regions, count = found.regions, len(found.regions.objectness_n)
    assert regions.boxes_n4.shape == (count, 4) and found.similarities_pn.shape == (2, count)
    assert np.all((regions.boxes_n4 >= 0) & (regions.boxes_n4 <= 1))
    assert np.all(np.diff(regions.objectness_n) <= 0)
    assert np.all((found.probabilities_pn >= 0) & (found.probabilities_pn <= 1))
    for similarities, probabilities in zip(found.similarities_pn, found.probabilities_pn, strict=True):
        if kind not in OWL:  # whose shift and scale differ from region to region
            assert np.all(np.diff(probabilities[np.argsort(similarities)]) >= 0)


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("size", [(1, 1), (3, 200)])
def test_a_tiny_picture_has_regions_too(detector: Load, kind: str, size: tuple[int, int]) -> None:
    grounder = OwlGrounder(OwlTowers(detector(kind))) if kind in OWL else FusedGrounder(detector(kind))
    found = grounder.ground(noise(*size), singles(["a cat"]))
    assert np.isfinite(found.regions.boxes_n4).all() and np.isfinite(found.probabilities_pn).all()


@pytest.mark.parametrize("kind", OWL)
def test_owl_finds_regions_before_any_phrase(detector: Load, kind: str) -> None:
    grounder = OwlGrounder(OwlTowers(detector(kind)))
    regions = grounder.propose(noise(), 5)
    assert regions.boxes_n4.shape == (len(regions.objectness_n), 4) and 1 <= len(regions.objectness_n) <= 5
    assert regions.vectors_nd is not None
    np.testing.assert_allclose(np.linalg.norm(regions.vectors_nd, axis=1), 1, atol=1e-4)
    cosines = OwlTowers(detector(kind)).read_texts(["a cat"]) @ regions.vectors_nd.T
    found = grounder.ground(noise(), [["a cat"]])
    for box, cosine in zip(regions.boxes_n4, cosines[0], strict=True):
        assert found.similarities_pn[0, nearest(found.regions.boxes_n4, box)] == pytest.approx(cosine, abs=CLOSE)


def test_regions_in_the_padding_of_owlv2_take_no_place(detector: Load) -> None:
    """Where their boxes are cut off at the picture's sides, nothing is left of them."""
    grounder, image = OwlGrounder(OwlTowers(detector("owlv2:"))), noise(96, 32)
    everywhere = grounder.ground(image, [["a cat"]]).regions.boxes_n4
    assert (areas(everywhere) == 0).any()
    found = grounder.propose(image, len(everywhere)).boxes_n4
    assert len(found) > 0 and (areas(found) > 0).all()


@pytest.mark.parametrize("kind", FUSED)
def test_a_fused_model_proposes_nothing(detector: Load, kind: str) -> None:
    grounder = FusedGrounder(detector(kind))
    assert grounder.info.fused
    with pytest.raises(NoGrounder, match="finds no regions without phrases"):
        grounder.propose(noise(), 5)


@pytest.mark.parametrize(("kind", "most"), [("owlv2:", CONTEXT), ("grounding-dino:", DINO["max_text_len"] - 3)])
def test_a_phrase_longer_than_the_context_is_listed(detector: Load, kind: str, most: int) -> None:
    grounder = OwlGrounder(OwlTowers(detector(kind))) if kind in OWL else FusedGrounder(detector(kind))
    found = grounder.ground(noise(), [["a cat"], ["a red apple " * 30]])
    assert found.truncated == {1: most}


def test_more_phrases_than_a_caption_holds_take_several_captions(detector: Load) -> None:
    grounder = FusedGrounder(detector("grounding-dino:"))
    many = singles(PHRASES * 4)  # 44 tokens, of which a caption holds 22
    found = grounder.ground(noise(), many)
    alone = grounder.ground(noise(), many[:6])  # the first caption
    count = len(alone.regions.objectness_n)
    assert len(found.probabilities_pn) == 12 and len(found.regions.objectness_n) == 2 * count
    best = found.probabilities_pn[:6].max(axis=1)
    np.testing.assert_allclose(best, alone.probabilities_pn.max(axis=1), atol=CLOSE)


def test_a_phrase_without_tokens_is_nowhere(detector: Load) -> None:
    found: Groundings = FusedGrounder(detector("grounding-dino:")).ground(noise(), [["a cat"], ["."]])
    assert found.probabilities_pn[1].max() == 0 and np.isfinite(found.similarities_pn).all()


@pytest.mark.parametrize("kind", DETECTORS)
def test_other_work_runs_between_the_layers(detector: Load, kind: str) -> None:
    breaks: list[int] = []
    set_break_work(lambda: breaks.append(1))
    try:
        grounder = OwlGrounder(OwlTowers(detector(kind))) if kind in OWL else FusedGrounder(detector(kind))
        grounder.ground(noise(), singles(["a cat"]))
    finally:
        set_break_work(lambda: None)
    assert len(breaks) >= 3


def test_a_folder_of_another_kind_is_named(detector: Load, tmp_path: Path) -> None:
    folder = GROUNDERS["owlvit:"](tmp_path / "model")
    with pytest.raises(ModelUnavailable, match=r"has model_type 'owlvit': name it as --grounder owlvit:"):
        load_grounder(f"owlv2:{folder}", HashEncoder())
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelUnavailable, match=r"has model_type 'bert', expected 'owlv2'"):
        load_grounder(f"owlv2:{folder}", HashEncoder())


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelUnavailable, match="no such folder: /nowhere"):
        load_grounder("omdet-turbo:/nowhere", HashEncoder())


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    folder = GROUNDERS["owlv2:"](tmp_path / "model")
    for file in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        (folder / file).unlink()
    with pytest.raises(ModelUnavailable, match=r"the processor of .* cannot be loaded"):
        load_grounder(f"owlv2:{folder}", HashEncoder())


def test_the_readers_know_their_families(detector: Load) -> None:
    assert isinstance(FusedGrounder(detector("omdet-turbo:"))._reader, ClassReader)
    assert isinstance(FusedGrounder(detector("mm-grounding-dino:"))._reader, CaptionReader)


@pytest.mark.parametrize("kind", OWL)
def test_owl_is_a_model_of_the_sidecar_whose_regions_are_in_the_space_of_its_texts(kind: str, tmp_path: Path) -> None:
    name = f"{kind}{GROUNDERS[kind](tmp_path / 'model')}"
    encoder = load_encoder(ModelName(name), Placement())
    texts = [encoder.prepare_text(phrase) for phrase in (*PHRASES, "a red apple " * 30)]
    assert [text.cut for text in texts] == [False, False, False, True]
    vectors_nd = encoder.encode_texts(texts)
    assert vectors_nd.shape == (4, encoder.info.dimension)
    grounder = load_grounder("auto", encoder)
    assert grounder is not None and grounder.info.own_vectors and grounder.info.name == name
    assert grounder.info.revision == encoder.info.revision
    found = grounder.ground(noise(), singles(PHRASES))
    assert found.regions.vectors_nd is not None
    np.testing.assert_allclose(found.similarities_pn, vectors_nd[:3] @ found.regions.vectors_nd.T, atol=CLOSE)
    stored = RegionVectors(found.regions.vectors_nd, found.regions.objectness_n)
    scores = choose_scorer(grounder, encoder).score(stored, singles(PHRASES))
    np.testing.assert_allclose(scores.similarities_pn, found.similarities_pn, atol=CLOSE)
    [vector_d] = encoder.encode_images([encoder.prepare_image(noise(32, 32))])
    best = grounder.propose(noise(32, 32), 1).vectors_nd
    assert best is not None and float(vector_d @ best[0]) > 0.999


@pytest.mark.parametrize("kind", OWL)
def test_owl_sees_a_picture_as_its_own_processor_prepares_it(detector: Load, kind: str, tmp_path: Path) -> None:
    folder = GROUNDERS[kind](tmp_path / "model")
    encoder = load_encoder(ModelName(f"{kind}{folder}"), Placement())
    image = noise(32, 20)  # of the model's side, so that nothing is enlarged along it
    theirs = detector(kind).processor.image_processor(images=image, return_tensors="pt").pixel_values[0]
    recipe = encoder.preparer.recipe  # type: ignore[attr-defined]
    own = (encoder.prepare_image(image) / 255 - recipe.mean) / recipe.std
    difference = np.abs(own.transpose(2, 0, 1) - theirs.numpy())
    assert difference.max() < (1e-5 if kind == "owlv2:" else 0.05)


def test_the_grounder_of_another_model_has_vectors_of_its_own_space(tmp_path: Path) -> None:
    grounder = load_grounder(f"owlv2:{GROUNDERS['owlv2:'](tmp_path / 'model')}", HashEncoder())
    assert grounder is not None and not grounder.info.own_vectors
