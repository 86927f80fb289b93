"""The last block of a CLIP's ViT, patch by patch, as NACLIP reads it (Hajimiri, Ben Ayed, Dolz 2024).

Attention of keys to keys, k k^T, plus a Gaussian window around each patch, so that a patch mixes with its like and its
neighbours; no residual and no FFN, which serve the class token. The maps have rough places of things, not their edges.

h, w rows and columns of patches · T = 1 + h w tokens, the class token first · W width · D dimensions
"""

from typing import Any

import torch
from open_clip.transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional as F

from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.packed import PackedImages
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.torch_encoder import TorchEncoder

STD = 5.0  # of the window, in patches


class DenseTower:
    """Reads the patches of one picture. Raises ModelUnavailable for an encoder whose image tower is no plain ViT."""

    def __init__(self, encoder: Encoder) -> None:
        self._tower = find_tower(encoder)

    @property
    def patch_side(self) -> int:
        """Pixels."""
        if isinstance(self._tower, PackedImages):
            return self._tower.patch_side
        return int(self._tower.conv1.kernel_size[0])

    def read(self, pixels_13hw: Tensor) -> Tensor:
        """Return (h, w, D) unit rows; sides of the picture are multiples of `patch_side`."""
        down, along = (side // self.patch_side for side in pixels_13hw.shape[2:])
        if isinstance(self._tower, PackedImages):
            rows_td = self._tower.read_patches(
                pixels_13hw,
                lambda positions_tw: resize_positions(positions_tw, down, along),
                lambda key, value: mix_by_keys(key, value, down, along),
            )
        else:
            rows_td = read_open_clip(self._tower, pixels_13hw, down, along)
        return F.normalize(rows_td[1:].float(), dim=-1).view(down, along, -1)


def find_tower(encoder: Encoder) -> Any:
    """Return the image tower of `encoder`. Raises ModelUnavailable."""
    if isinstance(encoder, TorchEncoder):
        towers: Any = encoder.towers
        images = getattr(towers, "visual", None) or getattr(towers, "encode_image", None)
        if isinstance(images, PackedImages) or is_plain(images):
            return images
    raise ModelUnavailable(
        f"dense reads the last block of a plain CLIP transformer, and the image tower of {encoder.info.model} is none "
        "(a convolutional tower has no such block); use --grounder tiles, or auto"
    )


def is_plain(images: Any) -> bool:
    """Whether it is a ViT of open_clip that ends as CLIP's: a class token, a norm and a projection."""
    return type(images) is VisionTransformer and images.attn_pool is None and images.pool_type == "tok"


def read_open_clip(tower: Any, pixels_13hw: Tensor, down: int, along: int) -> Tensor:
    """Return (T, D), not of unit length."""
    patches_1tw = tower.conv1(pixels_13hw).flatten(2).transpose(1, 2)
    start_11w = tower.class_embedding.to(patches_1tw.dtype).expand(1, 1, -1)
    positions_tw = resize_positions(tower.positional_embedding, down, along).to(patches_1tw.dtype)
    hidden = tower.ln_pre(torch.cat([start_11w, patches_1tw], dim=1) + positions_tw)
    *blocks, last = tower.transformer.resblocks
    for block in blocks:
        run_break_work()
        hidden = block(hidden)
    attention = last.attn
    joint_1tx = F.linear(last.ln_1(hidden), attention.in_proj_weight, attention.in_proj_bias)
    heads = joint_1tx.view(1, joint_1tx.shape[1], 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    mixed_1tw = mix_by_keys(heads[1], heads[2], down, along).transpose(1, 2).flatten(2)
    rows_tw = tower.ln_post(last.ls_1(attention.out_proj(mixed_1tw)))[0]
    projected_td: Tensor = rows_tw if tower.proj is None else rows_tw @ tower.proj
    return projected_td


def mix_by_keys(key: Tensor, value: Tensor, down: int, along: int) -> Tensor:
    """Return the values mixed by softmax(k k^T / sqrt(width of a head) + window); (1, heads, T, W / heads) each."""
    window_tt = F.pad(gaussian_windows(down, along, key.device), (1, 0, 1, 0))  # none for the class token
    scores = key @ key.transpose(-1, -2) * key.shape[-1] ** -0.5 + window_tt.to(key.dtype)
    mixed: Tensor = scores.softmax(dim=-1) @ value
    return mixed


def gaussian_windows(down: int, along: int, device: torch.device) -> Tensor:
    """Return (h w, h w): exp(-distance^2 / (2 STD^2)) of each patch to each, in patches.

    >>> gaussian_windows(1, 2, torch.device("cpu")).tolist() == [[1.0, 0.9801986813545227], [0.9801986813545227, 1.0]]
    True
    """
    rows_hw, columns_hw = torch.meshgrid(
        torch.arange(down, device=device), torch.arange(along, device=device), indexing="ij"
    )
    places_n2 = torch.stack([rows_hw.flatten(), columns_hw.flatten()], dim=1).float()
    squares_nn = (places_n2[:, None] - places_n2[None]).square().sum(dim=-1)
    return torch.exp(-squares_nn / (2 * STD * STD))


def resize_positions(positions_tw: Tensor, down: int, along: int) -> Tensor:
    """Return the positions of down x along patches from those of the model's square, by bicubic interpolation."""
    side = round((len(positions_tw) - 1) ** 0.5)
    if (down, along) == (side, side):
        return positions_tw
    grid_1whw = positions_tw[1:].float().view(1, side, side, -1).permute(0, 3, 1, 2)
    resized = F.interpolate(grid_1whw, (down, along), mode="bicubic", align_corners=False)
    return torch.cat([positions_tw[:1].float(), resized[0].flatten(1).T]).to(positions_tw.dtype)
