"""A model once more on another device, without reading its file again."""

import copy
from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

Model = TypeVar("Model")


def copied(model: Model, device: torch.device) -> Model:
    """`model`, or what wraps modules, with every weight on `device` and none in between on the device it comes from."""
    memo: dict[int, object] = {}
    for module in modules_of(model):
        memo |= {id(value): moved(value, device) for value in tensors_of(module)}
    return copy.deepcopy(model, memo)


def modules_of(model: object) -> list[nn.Module]:
    parts = [model] if isinstance(model, nn.Module) else list(vars(model).values())
    return [part for part in parts if isinstance(part, nn.Module)]


def tensors_of(module: nn.Module) -> Iterator[Tensor]:
    yield from module.parameters()
    yield from module.buffers()


def moved(value: Tensor, device: torch.device) -> Tensor:
    there = value.detach().to(device)
    return nn.Parameter(there, requires_grad=value.requires_grad) if isinstance(value, nn.Parameter) else there
