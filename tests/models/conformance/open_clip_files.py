"""open_clip's files and folders, with each kind of tower that its table has, small."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file

from clip_vectorizer.models.catalog import ModelName
from tests.models.conformance import small_timm, small_tokenizers
from tests.models.conformance.agreement import Format, Reference, SavedModel
from tests.models.conformance.weights import randomise

CONFIG, SAFETENSORS, BIN = "open_clip_config.json", "open_clip_model.safetensors", "open_clip_pytorch_model.bin"
REFERENCE = "`open_clip.create_model`"
CLIP_MEAN = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD, "interpolation": "bicubic"}
SIGLIP_PIXELS = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
PLAIN_PIXELS = {"mean": [0.0] * 3, "std": [1.0] * 3, "interpolation": "bilinear", "resize_mode": "shortest"}
VISION = {"image_size": 64, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
PLAIN = {"embed_dim": 48, "vision_cfg": VISION, "text_cfg": TEXT}
SIGLIP_TEXT = {
    **{"context_length": 64, "width": 64, "heads": 2, "layers": 2, "no_causal_mask": True, "proj_bias": True},
    **{"pool_type": "last", "norm_kwargs": {"eps": 1e-6}, "tokenizer_kwargs": {"clean": "canonicalize"}},
}
SIGLIP_VISION = {"image_size": 64, "timm_model_name": "conformance_siglip", "timm_pool": "map", "timm_proj": "none"}
SIGLIP = {"embed_dim": 64, "init_logit_bias": -10, "custom_text": True, "vision_cfg": SIGLIP_VISION}
Weights = dict[str, torch.Tensor]


def save_weights(weights: Mapping[str, torch.Tensor], file: Path) -> None:
    copies = {name: value.contiguous().clone() for name, value in weights.items()}
    if file.suffix == ".safetensors":
        save_file(copies, file)
    else:
        torch.save(copies, file)


def write_config(folder: Path, config: Mapping[str, Any], pixels: Mapping[str, Any]) -> None:
    content = {"model_cfg": config, "preprocess_cfg": pixels}
    (folder / CONFIG).write_text(json.dumps(content), "utf-8")


def reference_of(model: Any, tokenizer: Any) -> Reference:
    pixels = PreprocessCfg(**model.visual.preprocess_cfg)
    return Reference(
        tokenize=tokenizer,
        transform=image_transform_v2(pixels, is_train=False),
        mean=pixels.mean,
        std=pixels.std,
        encode_text=model.encode_text,
        encode_image=model.encode_image,
    )


# --- folders


def save_folder(
    config: Mapping[str, Any],
    pixels: Mapping[str, Any] = CLIP_MEAN,
    file: str = SAFETENSORS,
    tokenizer: Callable[[], Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Callable[[Path], SavedModel]:
    """Return a function that saves a folder as open_clip's `push_to_hf_hub` does."""

    def save(folder: Path) -> SavedModel:
        text = {"vocab_size": 49408, **config["text_cfg"]}
        if tokenizer:
            made = tokenizer()
            made.save_pretrained(folder)
            text |= {"vocab_size": len(made), "hf_tokenizer_name": "org/name"}
        write_config(folder, {**config, "text_cfg": text}, pixels)
        model = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
        randomise(model)
        save_weights(
            {
                name: value.to(dtype) if value.is_floating_point() else value
                for name, value in model.state_dict().items()
            },
            folder / file,
        )
        source = f"local-dir:{folder}"
        theirs = open_clip.create_model(source, require_pretrained=True).eval()
        return SavedModel(ModelName(source), reference_of(theirs, open_clip.get_tokenizer(source)))

    return save


# --- single files, with --architecture

ARCHITECTURE = "conformance"


def save_single(file: str, wrap: Callable[[Weights], Any] | None = None) -> Callable[[Path], SavedModel]:
    """Return a function that saves a file of weights of the architecture `conformance`."""

    def save(folder: Path) -> SavedModel:
        (folder / f"{ARCHITECTURE}.json").write_text(json.dumps(PLAIN), "utf-8")
        open_clip.add_model_config(folder)
        model = open_clip.create_model(ARCHITECTURE)
        randomise(model)
        if wrap:
            torch.save(wrap(model.state_dict()), folder / file)
        else:
            save_weights(model.state_dict(), folder / file)
        theirs = open_clip.create_model(ARCHITECTURE, str(folder / file)).eval()
        open_clip.factory._MODEL_CONFIG_PATHS.remove(folder)
        reference = reference_of(theirs, open_clip.get_tokenizer(ARCHITECTURE))
        return SavedModel(ModelName(str(folder / file), ARCHITECTURE), reference)

    return save


def wrap_checkpoint(weights: Weights) -> dict[str, Any]:
    """As open_clip's training saves an epoch on several devices."""
    state = {f"module.{name}": value for name, value in weights.items()}
    return {"epoch": 3, "name": "run", "state_dict": state, "optimizer": {"state": {}, "param_groups": [{"lr": 1e-3}]}}


# --- text towers of transformers

XLM_ROBERTA = {
    **{"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128},
    **{"max_position_embeddings": 514, "type_vocab_size": 1, "pad_token_id": 1},
}
NLLB = {
    **{"d_model": 64, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2},
    **{"decoder_attention_heads": 2, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "max_position_embeddings": 1024},
    **{"scale_embedding": True, "activation_function": "relu", "pad_token_id": 1},
}
MT5 = {"d_model": 64, "d_kv": 32, "d_ff": 128, "num_layers": 2, "num_heads": 2, "feed_forward_proj": "gated-gelu"}


def save_multilingual(
    config: Mapping[str, Any],
    tower: Callable[..., Any],
    sizes: Mapping[str, Any],
    tokenizer: Callable[[], Any],
    pixels: Mapping[str, Any] = CLIP_MEAN,
) -> Callable[[Path], SavedModel]:
    """Return a function that saves a folder whose text tower is transformers', with the tower's configuration."""

    def save(folder: Path) -> SavedModel:
        made = tokenizer()
        tower(vocab_size=len(made), **sizes).save_pretrained(folder)
        made.save_pretrained(folder)
        text = {**config["text_cfg"], "hf_tokenizer_name": "org/name"}
        local = {**text, "hf_model_name": str(folder)}
        write_config(folder, {**config, "text_cfg": local}, pixels)
        source = f"local-dir:{folder}"
        theirs = open_clip.create_model(source, load_weights=False, pretrained_text=False)
        randomise(theirs)
        save_weights(theirs.state_dict(), folder / BIN)
        reference = reference_of(theirs, open_clip.get_tokenizer(source))
        write_config(folder, {**config, "text_cfg": text}, pixels)  # names the tower as on the hub
        return SavedModel(ModelName(source), reference)

    return save


def timm_tower(name: str, side: int = 64, pool: str = "token", proj: str | None = None) -> dict[str, Any]:
    assert hasattr(small_timm, name)
    return {"image_size": side, "timm_model_name": name, "timm_pool": pool, "timm_proj": proj}


def custom(vision: Mapping[str, Any], text: Mapping[str, Any] = TEXT, **more: Any) -> dict[str, Any]:
    return {"embed_dim": 48, "custom_text": True, "vision_cfg": vision, "text_cfg": text, **more}


COCA_TEXT = {**TEXT, "context_length": 76, "embed_cls": True, "output_tokens": True}
COCA_VISION = {
    **VISION,
    "attentional_pool": True,
    "attn_pooler_heads": 2,
    "attn_pooler_queries": 8,
    "output_tokens": True,
}
COCA_DECODER = {"context_length": 76, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1}
CLIPA_VISION = {**VISION, "no_ln_pre": True, "pool_type": "avg", "final_ln_after_pool": True}
CLIPA_TEXT = {
    **TEXT,
    "context_length": 32,
    "pool_type": "last",
    "no_causal_mask": True,
    "tokenizer_kwargs": {"strip_sep_token": True},
}
WORLDWIDE_TEXT = {**TEXT, "pool_type": "eos", "eos_id": 2}
XLM_TEXT = {"hf_model_name": "xlm-roberta-base", "hf_pooler_type": "mean_pooler"}
NLLB_TEXT = {
    "hf_model_name": "facebook/nllb-200-distilled-600M",
    "hf_proj_type": "linear",
    "hf_pooler_type": "cls_pooler",
}
MT5_TEXT = {"hf_model_name": "google/mt5-base", "hf_pooler_type": "mean_pooler"}
UNMASKED = {**TEXT, "no_causal_mask": True}
PE_TEXT = {**TEXT, "context_length": 32}

FORMATS = [
    Format("open_clip's folder, safetensors", REFERENCE, save_folder(PLAIN)),
    Format("open_clip's folder, safetensors of float16", REFERENCE, save_folder(PLAIN, dtype=torch.float16)),
    Format("open_clip's folder, `.bin`, QuickGELU", REFERENCE, save_folder({**PLAIN, "quick_gelu": True}, file=BIN)),
    Format("open_clip's file, `.safetensors`", REFERENCE, save_single("weights.safetensors")),
    Format("open_clip's file, `.bin`", REFERENCE, save_single(BIN)),
    Format(
        "open_clip's checkpoint, `state_dict` with `module.`", REFERENCE, save_single("epoch_3.pt", wrap_checkpoint)
    ),
    Format(
        "open_clip's ResNet, folder",
        REFERENCE,
        save_folder(
            {**PLAIN, "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}}
        ),
    ),
    Format(
        "SigLIP, open_clip's folder",
        REFERENCE,
        save_folder({**SIGLIP, "text_cfg": SIGLIP_TEXT}, SIGLIP_PIXELS, tokenizer=small_tokenizers.t5_tokenizer),
    ),
    Format(
        "SigLIP 2, open_clip's folder",
        REFERENCE,
        save_folder(
            {**SIGLIP, "text_cfg": {**SIGLIP_TEXT, "act_kwargs": {"approximate": "tanh"}}},
            SIGLIP_PIXELS,
            tokenizer=small_tokenizers.gemma_tokenizer,
        ),
    ),
    Format(
        "CoCa, open_clip's folder", REFERENCE, save_folder(custom(COCA_VISION, COCA_TEXT, multimodal_cfg=COCA_DECODER))
    ),
    Format(
        "CLIPA, open_clip's folder",
        REFERENCE,
        save_folder(
            {**PLAIN, "vision_cfg": CLIPA_VISION, "text_cfg": CLIPA_TEXT},
            {**CLIP_MEAN, "resize_mode": "squash"},
            tokenizer=small_tokenizers.bert_tokenizer,
        ),
    ),
    Format(
        "MetaCLIP 2 worldwide, open_clip's folder",
        REFERENCE,
        save_folder({**PLAIN, "text_cfg": WORLDWIDE_TEXT}, tokenizer=small_tokenizers.xlm_roberta_tokenizer),
    ),
    Format(
        "MobileCLIP-S (FastViT), open_clip's folder",
        REFERENCE,
        save_folder(custom(timm_tower("conformance_fastvit", pool="avg"), UNMASKED), PLAIN_PIXELS),
    ),
    Format(
        "MobileCLIP-B (ViT with a stem), open_clip's folder",
        REFERENCE,
        save_folder(custom(timm_tower("conformance_mci")), PLAIN_PIXELS),
    ),
    Format(
        "MobileCLIP2-S (FastViT of five stages), open_clip's folder",
        REFERENCE,
        save_folder(custom(timm_tower("conformance_fastvit5", pool="avg"), UNMASKED), PLAIN_PIXELS),
    ),
    Format(
        "PE-Core, open_clip's folder",
        REFERENCE,
        save_folder(custom(timm_tower("conformance_pe_core", pool="map"), PE_TEXT), SIGLIP_PIXELS),
    ),
    Format("EVA01, open_clip's folder", REFERENCE, save_folder(custom(timm_tower("conformance_eva01", 56)))),
    Format("EVA02, open_clip's folder", REFERENCE, save_folder(custom(timm_tower("conformance_eva02")))),
    Format(
        "ConvNeXt, open_clip's folder",
        REFERENCE,
        save_folder({**PLAIN, "vision_cfg": timm_tower("conformance_convnext", pool="", proj="linear")}),
    ),
    Format(
        "XLM-RoBERTa with ViT, open_clip's folder",
        REFERENCE,
        save_multilingual(
            {**PLAIN, "text_cfg": XLM_TEXT},
            transformers.XLMRobertaConfig,
            XLM_ROBERTA,
            small_tokenizers.xlm_roberta_tokenizer,
        ),
    ),
    Format(
        "NLLB-CLIP, open_clip's folder",
        REFERENCE,
        save_multilingual(
            {**PLAIN, "text_cfg": NLLB_TEXT}, transformers.M2M100Config, NLLB, small_tokenizers.nllb_tokenizer
        ),
    ),
    Format(
        "NLLB-CLIP with SigLIP's image tower, open_clip's folder",
        REFERENCE,
        save_multilingual(
            {**SIGLIP, "text_cfg": NLLB_TEXT},
            transformers.M2M100Config,
            NLLB,
            small_tokenizers.nllb_tokenizer,
            SIGLIP_PIXELS,
        ),
    ),
    Format(
        "mT5 with ViT, open_clip's folder",
        REFERENCE,
        save_multilingual({**PLAIN, "text_cfg": MT5_TEXT}, transformers.MT5Config, MT5, small_tokenizers.t5_tokenizer),
    ),
]
