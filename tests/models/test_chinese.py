"""Taiyi and Chinese-CLIP from their own layouts, against transformers with the same weights."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers import CLIPImageProcessor

from clip_vectorizer.errors import ModelUnavailable, SettingsError
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.chinese import build_towers, load_chinese
from clip_vectorizer.models.chinese_layouts import ChineseParts, read_chinese_clip, read_taiyi
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.hub_folders import open_model_folder
from tests.models.chinese_models import (
    CHINESE_CLIP_PROCESSOR,
    CLIP_PROCESSOR,
    DIMENSION,
    SIDE,
    TEXTS,
    ReferenceModel,
    save_chinese_clip,
    save_cn_clip,
    save_taiyi,
)
from tests.models.small import CPU, apart
from tests.models.test_reference import noise, normalised

TOLERANCE = 1e-6
Pair = tuple[ReferenceModel, Encoder]


@pytest.fixture(scope="module")
def taiyi_folder(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ReferenceModel]:
    folder = tmp_path_factory.mktemp("taiyi")
    return folder, save_taiyi(folder)


@pytest.fixture(scope="module")
def taiyi(taiyi_folder: tuple[Path, ReferenceModel]) -> Pair:
    folder, reference = taiyi_folder
    return reference, load(f"taiyi:{folder}/text,{folder}/image")


@pytest.fixture(scope="module")
def chinese_clip(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    folder = tmp_path_factory.mktemp("chinese-clip")
    return save_chinese_clip(folder), load(f"chinese-clip:{folder}")


@pytest.fixture(scope="module")
def cn_clip(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """transformers' class with the weights of a file of cn_clip."""
    folder = tmp_path_factory.mktemp("cn-clip")
    reference = save_chinese_clip(folder / "transformers", half=True, width=128)  # two heads, by its rule
    return reference, load(f"chinese-clip:{save_cn_clip(reference.text, folder / 'clip_cn_vit-b-16.pt')}")


def load(name: str, attend_padding: int = 0) -> Encoder:
    return load_encoder(ModelName(name, attend_padding=attend_padding), CPU)


def read_parts(name: str) -> ChineseParts:
    family, _, path = name.partition(":")
    return {"taiyi": read_taiyi, "chinese-clip": read_chinese_clip}[family](path, open_model_folder)


def encode(encoder: Encoder, texts: Sequence[str]) -> np.ndarray:
    return encoder.encode_texts([encoder.prepare_text(text) for text in texts])


@pytest.mark.parametrize("model", ["taiyi", "chinese_clip"])
def test_the_tokens_of_a_text_are_those_of_transformers(model: str, request: pytest.FixtureRequest) -> None:
    reference, encoder = request.getfixturevalue(model)
    context = encoder.info.context_length
    texts = [*TEXTS, "猫" * 200]
    assert [list(encoder.prepare_text(text).ids) for text in texts] == reference.ids(texts, context)
    assert (context, encoder.prepare_text("猫" * 200).cut) == ({"taiyi": 64, "chinese_clip": 52}[model], True)


@pytest.mark.parametrize("model", ["taiyi", "chinese_clip", "cn_clip"])
def test_texts_are_those_of_transformers_in_one_batch(model: str, request: pytest.FixtureRequest) -> None:
    reference, encoder = request.getfixturevalue(model)
    texts = [text for text in [*TEXTS, "猫狗" * 100] if model != "cn_clip" or "[" not in text]
    assert apart(encode(encoder, texts), reference.texts(texts, encoder.info.context_length)) <= TOLERANCE


@pytest.mark.parametrize("model", ["taiyi", "chinese_clip", "cn_clip"])
def test_images_are_those_of_transformers(model: str, request: pytest.FixtureRequest) -> None:
    reference, encoder = request.getfixturevalue(model)
    images = noise(5, SIDE)
    assert apart(encoder.encode_images(images), reference.images(normalised(images))) <= TOLERANCE


@pytest.mark.parametrize("model", ["taiyi", "chinese_clip", "cn_clip"])
def test_the_logit_scale_is_the_models(model: str, request: pytest.FixtureRequest) -> None:
    reference, encoder = request.getfixturevalue(model)
    assert encoder.info.logit_scale == pytest.approx(reference.image.logit_scale.exp().item(), rel=1e-3)
    assert (encoder.info.dimension, encoder.info.image_size) == (DIMENSION, SIDE)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=60), min_size=1, max_size=5))
def test_any_texts_have_the_tokens_and_the_vectors_of_transformers(taiyi: Pair, texts: list[str]) -> None:
    reference, encoder = taiyi
    context = encoder.info.context_length
    assert [list(encoder.prepare_text(text).ids) for text in texts] == reference.ids(texts, context)
    assert apart(encode(encoder, texts), reference.texts(texts, context)) <= TOLERANCE


@pytest.mark.parametrize("model", ["taiyi", "chinese_clip"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_the_vector_of_a_text_does_not_depend_on_its_batch(
    model: str, precision: str, request: pytest.FixtureRequest
) -> None:
    name = request.getfixturevalue(model)[1].info.model
    encoder = load_encoder(ModelName(name), Placement(precision=precision))
    alone = np.concatenate([encode(encoder, [text]) for text in TEXTS])
    # bf16 and int8 round what differs in the last bits of float32
    assert apart(encode(encoder, TEXTS), alone) <= (TOLERANCE if precision == "fp32" else 2e-3)


def test_without_a_mask_texts_are_those_of_the_articles_call(taiyi: Pair) -> None:
    reference, masked = taiyi
    texts = ["猫", "两只老虎", "一张红色苹果的照片"]
    longest = max(len(ids) for ids in reference.ids(texts, 64))
    encoder = load(masked.info.model, attend_padding=longest)
    theirs = reference.texts(texts, 64, masked=False)
    assert apart(encode(encoder, texts), theirs) <= TOLERANCE
    assert apart(encode(masked, texts), theirs) > 100 * TOLERANCE  # the mask matters
    assert apart(encode(masked, texts[-1:]), theirs[-1:]) <= TOLERANCE  # to the longest it does not


def test_without_a_mask_a_text_has_one_vector_in_any_batch(taiyi: Pair) -> None:
    encoder = load(taiyi[1].info.model, attend_padding=6)
    alone = np.concatenate([encode(encoder, [text]) for text in TEXTS])
    assert apart(encode(encoder, TEXTS), alone) <= TOLERANCE


def test_vectors_with_and_without_the_mask_are_kept_apart(taiyi: Pair) -> None:
    encoder = load(taiyi[1].info.model, attend_padding=6)
    assert taiyi[1].info.preprocessing.startswith("shortest-32-bicubic-floor-v")
    assert encoder.info.preprocessing == f"{taiyi[1].info.preprocessing}-padding-6"


def test_more_padding_than_the_context_is_refused(taiyi: Pair) -> None:
    with pytest.raises(SettingsError, match=r"CLIP_ATTEND_PADDING='65': taiyi:.* takes at most 64 tokens"):
        load(taiyi[1].info.model, attend_padding=65)


def test_the_towers_of_a_gpu_compute_what_the_packed_ones_do(taiyi: Pair, chinese_clip: Pair) -> None:
    """The towers before they are packed; a GPU runs them as they are."""
    for _, encoder in (taiyi, chinese_clip):
        towers = build_towers("small", read_parts(encoder.info.model))
        longest = max(len(encoder.prepare_text(text).ids) for text in TEXTS)
        ids = [list(encoder.prepare_text(text).ids) for text in TEXTS]
        padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
        images = noise(3, SIDE)
        with torch.inference_mode():
            texts = torch.nn.functional.normalize(towers.encode_text(padded), dim=-1).numpy()
            pictures = torch.nn.functional.normalize(towers.encode_image(normalised(images)), dim=-1).numpy()
            assert towers.encode_text(torch.zeros(2, 5, dtype=torch.long)).isfinite().all()  # rows without a text
        assert apart(encode(encoder, TEXTS), texts) <= TOLERANCE
        assert apart(encoder.encode_images(images), pictures) <= TOLERANCE


def test_images_are_resized_as_each_model_was_trained(taiyi: Pair, chinese_clip: Pair, cn_clip: Pair) -> None:
    versions = [encoder.info.preprocessing.rpartition("-v")[0] for _, encoder in (taiyi, chinese_clip, cn_clip)]
    assert versions == ["shortest-32-bicubic-floor", "squash-32-bicubic", "squash-32-bicubic"]


def test_a_whole_picture_is_transformers_within_its_grey_levels(taiyi: Pair, chinese_clip: Pair) -> None:
    picture = Image.effect_mandelbrot((90, 60), (-2, -1, 1, 1), 50).convert("RGB")
    for (reference, encoder), config in ((taiyi, CLIP_PROCESSOR), (chinese_clip, CHINESE_CLIP_PROCESSOR)):
        pixels = CLIPImageProcessor(**config)(picture, return_tensors="pt")["pixel_values"]
        ours = encoder.encode_images([encoder.prepare_image(picture)])
        assert apart(ours, reference.images(pixels)) <= 1e-3


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    reference = save_taiyi(tmp_path, half=True)
    encoder = load(f"taiyi:{tmp_path}")
    # with positions that were added in half precision the largest would be some 1e-3
    assert np.abs(encode(encoder, TEXTS) - reference.texts(TEXTS, 64)).max() <= 1e-5


def test_taiyi_is_found_in_sub_folders_and_by_a_folder_with_a_comma(taiyi_folder: tuple[Path, ReferenceModel]) -> None:
    folder, _ = taiyi_folder
    revision = load(f"taiyi:{folder}/text,{folder}/image").info.revision
    assert load(f"taiyi:{folder}").info.revision == revision
    (folder / "text" / "clip-vit-base-patch32").symlink_to(folder / "image")
    assert load(f"taiyi:{folder}/text").info.revision == revision
    (folder / "text" / "clip-vit-base-patch32").unlink()
    with_comma = folder.parent / "a,b"
    with_comma.symlink_to(folder)
    assert load(f"taiyi:{with_comma}").info.revision == revision


class Hub:
    """Repositories in a folder, which are fetched file by file."""

    def __init__(self, remote: Path, cache: Path) -> None:
        self.remote, self.cache = remote, cache
        self.fetched: list[str] = []

    def __call__(self, repository: str, file: str) -> str:
        source, target = self.remote / repository / file, self.cache / repository / file
        if not source.exists():
            raise EntryNotFoundError(f"404: {file}")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        self.fetched.append(f"{repository}/{file}")
        return str(target)


def test_taiyi_comes_from_the_hub_with_openais_image_tower(tmp_path: Path) -> None:
    save_taiyi(tmp_path / "saved", num_labels=512, image_dimension=512)
    remote, text, image = (
        tmp_path / "remote",
        "IDEA-CCNL/Taiyi-CLIP-Roberta-102M-Chinese",
        "openai/clip-vit-base-patch32",
    )
    for name, part in ((text, "text"), (image, "image")):
        (remote / name).parent.mkdir(parents=True)
        (tmp_path / "saved" / part).rename(remote / name)
    hub = Hub(remote, tmp_path / "cache")
    encoder = load_chinese(f"taiyi:{text}", CPU, open_folder=partial(open_model_folder, fetch=hub))
    assert encoder.info.dimension == 512
    files = [f"{text}/{each}" for each in ("config.json", "pytorch_model.bin", "vocab.txt")]
    files += [f"{image}/{each}" for each in ("config.json", "model.safetensors", "preprocessor_config.json")]
    assert hub.fetched == files


def test_a_model_that_cannot_be_fetched_is_refused_with_what_to_do(tmp_path: Path) -> None:
    opened = partial(open_model_folder, fetch=Hub(tmp_path, tmp_path / "cache"))
    with pytest.raises(ModelUnavailable, match=r"neither a folder nor could it be fetched from the hub \(404: config"):
        load_chinese("chinese-clip:OFA-Sys/chinese-clip-vit-base-patch16", CPU, open_folder=opened)
    save_taiyi(tmp_path, num_labels=512)
    with pytest.raises(
        ModelUnavailable, match=r"has no image tower; name the folder of its image tower: taiyi:.*,IMAGE"
    ):
        load_chinese(f"taiyi:{tmp_path}/text", CPU, open_folder=opened)


def damage_config(folder: Path, **values: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def drop_tensor(file: Path, name: str) -> None:
    weights = torch.load(file)
    del weights[name]
    torch.save(weights, file)


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no vocabulary": (lambda text: (text / "vocab.txt").unlink(), r"vocab.txt: No such file .*one token a line"),
    "another vocabulary": (lambda text: (text / "vocab.txt").write_text("a\nb\n"), r"no \[CLS\] and no \[SEP\]"),
    "no weights": (lambda text: (text / "pytorch_model.bin").unlink(), "has no weights: neither model.safetensors nor"),
    "a web page": (lambda text: (text / "pytorch_model.bin").write_text("<html>"), "is an HTML page"),
    "no tensor": (lambda text: drop_tensor(text / "pytorch_model.bin", "bert.pooler.dense.bias"), "text.pooler.bias"),
    "no head": (lambda text: drop_tensor(text / "pytorch_model.bin", "classifier.weight"), "without classifier.weight"),
    "no words": (
        lambda text: drop_tensor(text / "pytorch_model.bin", "bert.embeddings.word_embeddings.weight"),
        "lacks tensors of a Chinese CLIP .*token_embedding",
    ),
    "more words": (lambda text: append_line(text / "vocab.txt"), r"the vocabulary has \d+ words, the text tower \d+"),
    "other heads": (lambda text: damage_config(text, num_attention_heads=3), "width 32 cannot have 3 heads"),
    "another activation": (lambda text: damage_config(text, hidden_act="relu"), "no tower with the activation.*relu"),
    "another kind": (lambda text: damage_config(text, model_type="gpt2"), "has a model of the type 'gpt2'"),
    "no configuration": (lambda text: (text / "config.json").write_text("[]"), "must be the configuration of a model"),
}


def append_line(file: Path) -> None:
    file.write_text(f"{file.read_text('utf-8')}one more\n", "utf-8")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_taiyi_is_refused_with_what_is_wrong(damage: str, tmp_path: Path) -> None:
    save_taiyi(tmp_path)
    change, sentence = DAMAGES[damage]
    change(tmp_path / "text")
    with pytest.raises(ModelUnavailable, match=sentence):
        load(f"taiyi:{tmp_path}/text,{tmp_path}/image")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ('{"size": 48, "crop_size": 48}', "makes 48 pixels, but the image tower takes 32"),
        ('{"size": 48, "crop_size": 32}', "crops 48 pixels to 32; expected one size for `size` and `crop_size`"),
        ('{"size": {"height": 32, "width": 48}}', "expected shortest_edge, or equal height and width"),
        ('{"size": {"shortest_edge": 32}, "do_center_crop": false}', "neither crops nor squashes"),
        ('{"size": 32, "do_normalize": false}', "does not resize or not normalise"),
        ('{"size": 32, "crop_size": 32, "resample": 1}', r"has resample 1; expected 2 \(bilinear\) or 3 \(bicubic\)"),
        ('{"size": 32, "crop_size": 32, "image_mean": 0.5}', "is no preprocessing of images"),
    ],
)
def test_a_preprocessing_that_is_not_ours_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    save_chinese_clip(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(ModelUnavailable, match=sentence):
        load(f"chinese-clip:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("taiyi:{0}/nothing", "no such folder"),
        ("taiyi:{0}", "found none; name both: taiyi:TEXT,IMAGE"),
        ("taiyi:{0}/weights.pt", "is a file; name the folder of Taiyi's text tower"),
        ("chinese-clip:{0}", "config.json: No such file"),
        ("chinese-clip:{0}/weights.pt", "is no checkpoint of cn_clip: it has no 'visual.conv1.weight'"),
    ],
)
def test_what_is_no_chinese_clip_is_refused(name: str, sentence: str, tmp_path: Path) -> None:
    torch.save({"state_dict": {"module.bias": torch.zeros(2)}}, tmp_path / "weights.pt")
    with pytest.raises(ModelUnavailable, match=sentence):
        load(name.format(tmp_path))


@pytest.mark.parametrize(("part", "name"), [("chinese", "chinese-clip:"), ("taiyi/text", "taiyi:")])
def test_a_folder_that_is_named_as_another_kind_is_refused_with_its_name(part: str, name: str, tmp_path: Path) -> None:
    save_taiyi(tmp_path / "taiyi")
    save_chinese_clip(tmp_path / "chinese")
    with pytest.raises(ModelUnavailable, match=f"name it as --model {name}{tmp_path}/{part}"):
        load(f"local-dir:{tmp_path}/{part}")


def test_towers_of_two_models_are_refused(tmp_path: Path) -> None:
    save_taiyi(tmp_path, num_labels=24)
    with pytest.raises(ModelUnavailable, match="text vectors have 24 dimensions, image vectors 16"):
        load(f"taiyi:{tmp_path}")


def test_the_padding_of_other_models_cannot_be_attended_to() -> None:
    with pytest.raises(SettingsError, match="CLIP_ATTEND_PADDING='6' is for taiyi: models, not for emoji"):
        load("emoji", attend_padding=6)
