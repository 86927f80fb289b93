"""timm's image towers at small sizes, registered under names of their own, with which open_clip builds them."""

from typing import Any

import timm
from timm.models import register_model

SMALL: dict[str, Any] = {"embed_dim": 64, "depth": 2, "num_heads": 2}


@register_model
def conformance_siglip(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_base_patch16_siglip_224", **{"img_size": 64, **SMALL, **options})


@register_model
def conformance_eva02(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("eva02_base_patch16_clip_224", **{"img_size": 64, **SMALL, **options})


@register_model
def conformance_eva01(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("eva_giant_patch14_clip_224", **{"img_size": 56, **SMALL, **options})


@register_model
def conformance_pe_core(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_pe_core_base_patch16_224", **{"img_size": 64, **SMALL, **options})


@register_model
def conformance_mci(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("vit_base_mci_224", **{"img_size": 64, "depth": 1, **options})


@register_model
def conformance_convnext(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("convnext_base", **{"depths": (1, 1, 2, 1), "dims": (16, 32, 48, 64), **options})


@register_model
def conformance_fastvit(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model("fastvit_mci0", **{"layers": (1, 1, 1, 1), "embed_dims": (16, 32, 64, 128), **options})


@register_model
def conformance_fastvit5(pretrained: bool = False, **options: Any) -> Any:
    return timm.create_model(
        "fastvit_mci3", **{"layers": (1, 1, 1, 1, 1), "embed_dims": (16, 32, 64, 128, 256), **options}
    )
