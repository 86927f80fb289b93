"""Random weights with which every part of a small model matters."""

import math

import torch
from torch import nn

KEPT = ("logit_scale", "logit_bias")
GAIN, SHIFT = 2.0, 0.2


def randomise(model: nn.Module, seed: int = 1) -> None:
    """Fill all weights of `model`, and put it into eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.rpartition(".")[2] in KEPT:
                continue
            noise = torch.randn(value.shape, generator=generator)
            if value.ndim > 1:
                value.copy_(noise * GAIN / math.sqrt(value[0].numel()))
            else:  # the factors of a norm, and shifts
                value.copy_(noise * SHIFT + name.endswith("weight"))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(torch.randn(buffer.shape, generator=generator) * SHIFT)
            if name.endswith("running_var"):
                buffer.copy_(torch.rand(buffer.shape, generator=generator) + 0.5)
    model.eval().requires_grad_(False)
