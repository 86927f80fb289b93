"""The network that learns: the backbone that is kept, and the projection head that only the loss sees.

N views · S side · D dimensions
"""

from typing import cast

import torch
from torch import Tensor, nn

from clip_vectorizer.models.image_only import ARCHITECTURES, SPREAD, WHITE, build_backbone

ARCHITECTURE = "resnet18"
PROJECTED = 128  # dimensions that the loss compares (Chen et al. 2020, section 2.2)


class SimclrNetwork(nn.Module):
    def __init__(self, seed: int) -> None:
        """Random weights, the same for the same seed."""
        super().__init__()
        dimension = ARCHITECTURES[ARCHITECTURE]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = build_backbone(ARCHITECTURE)
            self.head = nn.Sequential(nn.Linear(dimension, dimension), nn.ReLU(), nn.Linear(dimension, PROJECTED))

    def forward(self, grey_n1ss: Tensor) -> Tensor:
        """(N, 128) for the loss, from grey levels in 0..1."""
        inputs_n1ss = (grey_n1ss - WHITE) / SPREAD
        return cast(Tensor, self.head(self.backbone(inputs_n1ss.contiguous(memory_format=torch.channels_last))))
