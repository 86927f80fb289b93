"""Reads Chinese CLIPs from the layouts in which their authors published them.

`taiyi:TEXT,IMAGE`      a text tower (BertForSequenceClassification) and the CLIPModel that it was trained for: folders
                        or repositories; without IMAGE it is a sub-folder of TEXT, else OpenAI's on the hub
`chinese-clip:FOLDER`   a ChineseCLIPModel of transformers, a folder or a repository
`chinese-clip:FILE.pt`  a checkpoint of cn_clip, with its vocab.txt beside it
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.bert import BERT_EPSILON, BertOptions
from clip_vectorizer.models.bert_weights import select_chinese_clip, select_cn_clip, select_taiyi
from clip_vectorizer.models.hub_folders import TRANSFORMERS_CONFIG, find_weight_file
from clip_vectorizer.models.image_processors import check_side, read_image_processor
from clip_vectorizer.models.names import TAIYI
from clip_vectorizer.models.packed import WeightMapping
from clip_vectorizer.models.preprocess import PixelRecipe, ResizeMode
from clip_vectorizer.models.state_dicts import select_model
from clip_vectorizer.models.weight_files import Weights, read_weights
from clip_vectorizer.models.word_pieces import WordPieceTokenizer, read_cn_clip_word_pieces, read_word_pieces

CHINESE_CLIP_CONTEXT = 52  # tokens, in its training
TAIYI_IMAGES = {512: "openai/clip-vit-base-patch32", 768: "openai/clip-vit-large-patch14"}  # by dimension
DEFAULT_HEADS = 12  # transformers'
ACTIVATIONS = ("quick_gelu", "gelu")
# of cn_clip's models, whose files do not contain them; only ViT-H-14 is so wide
CN_CLIP_HEAD_WIDTH, WIDE_HEAD_WIDTH, WIDE = 64, 80, 1280
RESNET_SHRINKS = 32  # times

OpenFolder = Callable[[str], Path]  # a path or a repository to a folder of this machine


@dataclass(frozen=True, slots=True)
class ChineseParts:
    """A model as it was read: tensors by the names of `ChineseTowers`, and what they do not contain."""

    weights: Weights
    image_heads: int
    quick_gelu: bool
    text: BertOptions
    recipe: PixelRecipe
    tokenizer: WordPieceTokenizer


def read_taiyi(text: str, open_folder: OpenFolder) -> ChineseParts:
    """Read the two towers that `text` names. Raises ModelUnavailable."""
    text_folder, image_folder = find_taiyi_folders(text, open_folder)
    config = read_transformers_config(text_folder, "bert")
    texts = read_weights(find_weight_file(text_folder))
    dimension = len(texts.get("classifier.weight", ()))
    if not dimension:
        raise ModelUnavailable(f"{text_folder} is a BERT without classifier.weight, which makes Taiyi's vectors")
    image_folder = image_folder or open_usual_images(text_folder, dimension, open_folder)
    images = read_transformers_config(image_folder, "clip")
    weights = select_taiyi(texts, read_weights(find_weight_file(image_folder)))
    tokenizer = read_word_pieces(text_folder, len(weights.get("text.positional_embedding", ())))
    return join_parts(weights, image_folder, images.get("vision_config"), config, tokenizer, "shortest")


def find_taiyi_folders(text: str, open_folder: OpenFolder) -> tuple[Path, Path | None]:
    """Return the folders of the text tower and of the image tower; None where `text` does not name that.

    One folder may have both towers as sub-folders, or the image tower as a sub-folder. Raises ModelUnavailable.
    """
    first, comma, second = text.partition(",")
    if comma and not Path(text).expanduser().is_dir():
        return open_folder(first.strip()), open_folder(second.strip())
    folder = open_folder(text)
    if not folder.is_dir():
        raise ModelUnavailable(f"{folder} is a file; name the folder of Taiyi's text tower")
    kinds = {each: read_model_type(each) for each in (folder, *sorted(folder.iterdir())) if each.is_dir()}
    texts, images = ([each for each, kind in kinds.items() if kind == wanted] for wanted in ("bert", "clip"))
    if len(texts) != 1 or len(images) > 1:
        found = ", ".join(f"{each} ({kind})" for each, kind in kinds.items() if kind) or "none"
        raise ModelUnavailable(
            f"{folder} must have one text tower (bert) and at most one image tower (clip), in itself or in a "
            f"sub-folder; found {found}; name both: {TAIYI}TEXT,IMAGE"
        )
    return texts[0], images[0] if images else None


def read_model_type(folder: Path) -> str:
    """Return transformers' name of the kind of model; "" where there is none."""
    try:
        return str(json.loads((folder / TRANSFORMERS_CONFIG).read_text("utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def open_usual_images(text_folder: Path, dimension: int, open_folder: OpenFolder) -> Path:
    """Return the folder of OpenAI's CLIP whose vectors have `dimension`. Raises ModelUnavailable."""
    advice = f"name the folder of its image tower: {TAIYI}{text_folder},IMAGE"
    if dimension not in TAIYI_IMAGES:
        raise ModelUnavailable(f"{text_folder} makes vectors of {dimension} dimensions, unlike any Taiyi; {advice}")
    try:
        return open_folder(TAIYI_IMAGES[dimension])
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{text_folder} has no image tower; {advice} ({error})") from error


def read_chinese_clip(text: str, open_folder: OpenFolder) -> ChineseParts:
    """Read a folder of transformers or a checkpoint of cn_clip. Raises ModelUnavailable."""
    folder = open_folder(text)
    if folder.is_file():
        return read_cn_clip(folder)
    config = read_transformers_config(folder, "chinese_clip")
    weights = select_chinese_clip(read_weights(find_weight_file(folder)))
    tokenizer = read_word_pieces(folder, CHINESE_CLIP_CONTEXT)
    return join_parts(weights, folder, config.get("vision_config"), config.get("text_config"), tokenizer, "squash")


def read_transformers_config(folder: Path, kind: str) -> Mapping[str, Any]:
    """Return `config.json`. Raises ModelUnavailable where the folder has none or one of another `model_type`."""
    file = folder / TRANSFORMERS_CONFIG
    try:
        config: dict[str, Any] = json.loads(file.read_text("utf-8"))
        found = config.get("model_type")
    except (OSError, ValueError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelUnavailable(f"{file}: {reason}; it must be the configuration of a model (transformers)") from error
    if found != kind:
        raise ModelUnavailable(f"{folder} has a model of the type {found!r}; expected {kind!r}")
    return config


def join_parts(
    weights: Weights,
    image_folder: Path,
    image_config: Mapping[str, Any] | None,
    text_config: Mapping[str, Any] | None,
    tokenizer: WordPieceTokenizer,
    resize: ResizeMode,
) -> ChineseParts:
    """`resize`: of images where no file in `image_folder` says it. Raises ModelUnavailable."""
    image, text = image_config or {}, text_config or {}
    side = measure_image_side(weights)
    if not side:
        raise ModelUnavailable(f"{image_folder} has no image tower of a CLIP: it lacks its positions or its patches")
    activation = image.get("hidden_act", ACTIVATIONS[0])
    if activation not in ACTIVATIONS or text.get("hidden_act", "gelu") != "gelu":
        raise ModelUnavailable(f"{image_folder}: no tower with the activation {activation} or {text.get('hidden_act')}")
    usual = PixelRecipe(side, resize=resize, crop="floor")
    recipe = read_image_processor(image_folder, "clip") or usual  # a Chinese CLIP has the defaults of a CLIP
    check_side(image_folder, recipe.size, side)
    return ChineseParts(
        weights,
        image_heads=image.get("num_attention_heads", DEFAULT_HEADS),
        quick_gelu=activation == ACTIVATIONS[0],
        text=BertOptions(text.get("num_attention_heads", DEFAULT_HEADS), text.get("layer_norm_eps", BERT_EPSILON)),
        recipe=recipe,
        tokenizer=tokenizer,
    )


def read_cn_clip(file: Path) -> ChineseParts:
    """Read a checkpoint of cn_clip, such as clip_cn_vit-b-16.pt. Raises ModelUnavailable."""
    weights = select_cn_clip(select_model(read_weights(file)))
    try:
        image_width = len(weights["visual.conv1.weight"])
        text_width = weights["text.token_embedding.weight"].shape[1]
    except KeyError as error:
        raise ModelUnavailable(f"{file} is no checkpoint of cn_clip: it has no {error}") from error
    return ChineseParts(
        weights,
        image_heads=max(image_width // (WIDE_HEAD_WIDTH if image_width == WIDE else CN_CLIP_HEAD_WIDTH), 1),
        quick_gelu=True,
        text=BertOptions(max(text_width // CN_CLIP_HEAD_WIDTH, 1)),
        recipe=PixelRecipe(measure_image_side(weights), resize="squash"),
        tokenizer=read_cn_clip_word_pieces(file.parent, CHINESE_CLIP_CONTEXT),
    )


def is_resnet_tower(weights: WeightMapping) -> bool:
    return "visual.attnpool.positional_embedding" in weights


def measure_image_side(weights: WeightMapping) -> int:
    """Return the side of the input in pixels, by the number of positions. 0 where the tensors are missing."""
    if is_resnet_tower(weights):
        return math.isqrt(len(weights["visual.attnpool.positional_embedding"]) - 1) * RESNET_SHRINKS
    if not {"visual.positional_embedding", "visual.conv1.weight"} <= weights.keys():
        return 0
    return math.isqrt(len(weights["visual.positional_embedding"]) - 1) * int(weights["visual.conv1.weight"].shape[3])
