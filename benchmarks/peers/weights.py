"""The same random weights of one architecture in the formats that the peers read. Nothing is downloaded.

FOLDER/open_clip.pt         state dict: open_clip, clip-as-service, clip-retrieval
FOLDER/folder/              open_clip's layout of a folder, as `clip-vectorizer models download` writes it: this project
FOLDER/transformers/        CLIPModel with processor and tokenizer: transformers, infinity
FOLDER/onnx/vision, text    both towers with projections: fastembed; rclip gets links to them
FOLDER/container-*/models   what Weaviate's container reads, by the two libraries that it can use

N items · T tokens · S image side
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.model_folders import make_random_weights, write_open_clip_folder
from benchmarks.peers.catalog import EXPORTER
from benchmarks.peers.environments import PeerUnavailable, find_python, summarise_error
from benchmarks.servers import make_offline_environment
from clip_vectorizer.models.download import OPEN_CLIP_CONFIG
from clip_vectorizer.models.state_dicts import BLOCK_NAMES, PROJECTIONS, TRANSFORMERS_NAMES
from ingest.embedded.binary import get_cache_dir

HERE = Path(__file__).parent
OPEN_CLIP, OPEN_CLIP_FOLDER, TRANSFORMERS, ONNX = "open_clip.pt", "folder", "transformers", "onnx"
START, END = "<|startoftext|>", "<|endoftext|>"
CONTEXT = 77
RCLIP_MODEL = "ViT-B-32-256-datacomp_s34b_b86k"  # the folder that rclip looks into
RCLIP_ARCHITECTURE = "ViT-B-32-256"
WRITTEN = "written"  # an empty file, written last


def find_weights(architecture: str, onnx: str = "") -> Path:
    """Return the folder of an architecture's weights in the cache, written where it is missing or incomplete.

    `onnx`: "fastembed" or "rclip" for ONNX files in that layout too. Raises PeerUnavailable.
    """
    folder = get_cache_dir() / "peers" / f"weights-{architecture}"
    if not (folder / WRITTEN).exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_weights(architecture, folder)
        (folder / WRITTEN).touch()
    if not (folder / OPEN_CLIP_FOLDER / OPEN_CLIP_CONFIG).exists():
        write_open_clip_folder(architecture, torch.load(folder / OPEN_CLIP), folder / OPEN_CLIP_FOLDER)
    if onnx and not (folder / f"{WRITTEN}-{onnx}").exists():
        write_onnx(folder, onnx)
        (folder / f"{WRITTEN}-{onnx}").touch()
    return folder


def write_weights(architecture: str, folder: Path) -> None:
    """Write all formats but ONNX; equal calls write equal weights."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = make_random_weights(architecture)
    torch.save(weights, folder / OPEN_CLIP)
    write_transformers(architecture, weights, folder / TRANSFORMERS)
    write_container_models(architecture, folder)


def write_onnx(folder: Path, layout: str) -> None:
    """Export both towers of `folder`/transformers under an environment of its own. Raises PeerUnavailable.

    `layout`: "fastembed" or "rclip", which name their inputs differently.
    """
    words = (find_python(EXPORTER), HERE / "onnx_export.py", folder / TRANSFORMERS, folder / ONNX, layout)
    done = subprocess.run(words, env=make_offline_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerUnavailable(f"the weights cannot be exported to ONNX: {summarise_error(done.stderr)}")


def write_rclip_folder(folder: Path, target: Path) -> None:
    """Lay out `folder`/onnx of ViT-B-32-256 as the data folder where rclip keeps its downloads."""
    models = target / RCLIP_MODEL
    models.mkdir(parents=True)
    (models / "visual.onnx").symlink_to(folder / ONNX / "vision" / "model.onnx")
    (models / "textual.onnx").symlink_to(folder / ONNX / "text" / "model.onnx")
    vocabulary = target / "tokenizer" / "bpe_simple_vocab_16e6.txt.gz"
    vocabulary.parent.mkdir()
    vocabulary.symlink_to(Path(open_clip.tokenizer.default_bpe()))


def write_container_models(architecture: str, folder: Path) -> None:
    """Write FOLDER/container-open_clip and FOLDER/container-transformers, where Weaviate's container runs."""
    models = folder / "container-open_clip" / "models" / "openclip"
    models.mkdir(parents=True, exist_ok=True)
    config = {"model_name": architecture, "pretrained": str((folder / OPEN_CLIP).resolve())}  # a path for a tag
    write_json(models / "config.json", config)
    models = folder / "container-transformers" / "models"
    models.mkdir(parents=True, exist_ok=True)
    for name in ("openai_clip", "openai_clip_processor"):
        (models / name).symlink_to((folder / TRANSFORMERS).resolve())


def write_transformers(architecture: str, weights: Mapping[str, Tensor], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    config = open_clip.get_model_config(architecture)
    side = config["vision_cfg"]["image_size"]
    save_file(rename_for_transformers(weights), folder / "model.safetensors", {"format": "pt"})
    write_json(folder / "config.json", make_config(config))
    write_json(folder / "preprocessor_config.json", make_processor_config(side))
    write_tokenizer(open_clip.get_tokenizer(architecture), folder)


def rename_for_transformers(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return open_clip's tensors under the names of transformers' CLIPModel."""
    return {name: value.contiguous().clone() for old, tensor in weights.items() for name, value in split(old, tensor)}


def split(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors that one of open_clip's becomes: attention's joined one becomes three."""
    projections = {ours: theirs for theirs, ours in PROJECTIONS.items()}
    if name in projections:
        yield projections[name], value.t()  # theirs is a Linear layer
    elif name == "logit_scale":
        yield name, value
    elif name.endswith("attn_mask"):
        return
    elif ".attn.in_proj_" in name:
        before, _, kind = name.partition("attn.in_proj_")
        for letter, part in zip("qkv", value.chunk(3), strict=True):
            yield f"{rename(before)}self_attn.{letter}_proj.{kind}", part
    else:
        yield rename(name), value


def rename(name: str) -> str:
    """
    >>> rename("visual.transformer.resblocks.3.mlp.c_fc.weight")
    'vision_model.encoder.layers.3.mlp.fc1.weight'
    >>> rename("positional_embedding")
    'text_model.embeddings.position_embedding.weight'
    """
    tower = "vision_model." if name.startswith("visual.") else "text_model."
    name = name.removeprefix("visual.")
    for theirs, ours in (*TRANSFORMERS_NAMES.items(), *BLOCK_NAMES.items()):
        if name == ours or name.startswith(f"{ours}.") or f".{ours}." in name:
            name = name.replace(ours, theirs)
    return tower + name


def make_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """config.json of a CLIPModel with GELU, as open_clip's `ViT-B-32` has it: QuickGELU would be slower."""
    vision, text = config["vision_cfg"], config["text_cfg"]
    return {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config["embed_dim"],
        "torch_dtype": "float32",
        "vision_config": {
            **make_sizes(vision, vision.get("head_width", 64), config["embed_dim"]),
            "model_type": "clip_vision_model",
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
        },
        "text_config": {
            **make_sizes(text, text["width"] // text["heads"], config["embed_dim"]),
            "model_type": "clip_text_model",
            "vocab_size": text["vocab_size"],
            "max_position_embeddings": text["context_length"],
            "bos_token_id": 49406,
            "eos_token_id": 49407,
        },
    }


def make_sizes(tower: Mapping[str, Any], head_width: int, projection: int) -> dict[str, Any]:
    width = tower["width"]
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": tower["layers"],
        "num_attention_heads": width // head_width,
        "projection_dim": projection,
        "hidden_act": "gelu",
    }


def make_processor_config(side: int) -> dict[str, Any]:
    return {
        "image_processor_type": "CLIPImageProcessor",
        "feature_extractor_type": "CLIPFeatureExtractor",
        "processor_class": "CLIPProcessor",
        "do_resize": True,
        "size": {"shortest_edge": side},
        "resample": 3,  # bicubic
        "do_center_crop": True,
        "crop_size": {"height": side, "width": side},
        "do_convert_rgb": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(open_clip.OPENAI_DATASET_MEAN),
        "image_std": list(open_clip.OPENAI_DATASET_STD),
    }


def write_tokenizer(tokenizer: Any, folder: Path) -> None:
    """open_clip's byte-pair vocabulary in the files of transformers and tokenizers."""
    from transformers import CLIPTokenizer

    vocabulary = {rename_token(token): number for token, number in tokenizer.encoder.items()}
    merges = [" ".join(pair) for pair in tokenizer.bpe_ranks]
    write_json(folder / "vocab.json", vocabulary)
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    write_json(folder / "special_tokens_map.json", special)
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "CLIPTokenizer", "model_max_length": CONTEXT, "do_lower_case": True, **special},
    )
    tokens: Any = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), **special)
    tokens.backend_tokenizer.save(str(folder / "tokenizer.json"))


def rename_token(token: str) -> str:
    return {"<start_of_text>": START, "<end_of_text>": END}.get(token, token)


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
