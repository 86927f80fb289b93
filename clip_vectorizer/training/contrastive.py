"""What trainings of towers share: averaged weights, the learning rate of a step, the optimizer."""

import math

import torch
from torch import nn

MAX_LOGIT_SCALE = math.log(100.0)  # Radford et al. 2021, section 2.5


class WeightAverage:
    """An exponential moving average of the weights of a model, which is evaluated and shipped."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))  # short memory while the weights still move fast
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Return the rate of a step: linear warm-up, then a cosine to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def build_optimizer(model: nn.Module, peak: float, decay: float) -> torch.optim.AdamW:
    """Return AdamW without weight decay on gains, biases and the logit scale."""
    matrices = [weight for weight in model.parameters() if weight.requires_grad and weight.ndim >= 2]
    rest = [weight for weight in model.parameters() if weight.requires_grad and weight.ndim < 2]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=peak, betas=(0.9, 0.98), eps=1e-6)
