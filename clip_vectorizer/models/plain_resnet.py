"""The convolutional image tower of the bundled model, `resnet10t`, in nothing but torch.

A ResNet-D (He et al. 2019, "Bag of Tricks") of four stages with one basic block each, behind timm's tiered stem.
Names of the parameters are those of open_clip around timm, so the same weights load in both.

B rows · S image side
"""

from torch import Tensor, nn
from torch.nn import functional as F

NAME = "resnet10t"
STEM = (24, 32, 64)  # channels of its three convolutions
STAGES = (64, 128, 256, 512)  # channels


class ResNetTower(nn.Module):
    """(B, 3, S, S) in, (B, D) out, not of unit length."""

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.ModuleDict({"proj": nn.Linear(STAGES[-1], embedding, bias=False)})

    def forward(self, pixels_b3ss: Tensor) -> Tensor:
        rows: Tensor = self.head["proj"](self.trunk(pixels_b3ss))
        return rows


class Trunk(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        first, second, third = STEM
        self.conv1 = nn.Sequential(
            *(conv3(3, first, stride=2), nn.BatchNorm2d(first), nn.ReLU()),
            *(conv3(first, second), nn.BatchNorm2d(second), nn.ReLU()),
            conv3(second, third),
        )
        self.bn1 = nn.BatchNorm2d(third)
        self.layer1 = nn.Sequential(BasicBlock(STAGES[0], STAGES[0]))
        self.layer2 = nn.Sequential(BasicBlock(STAGES[0], STAGES[1]))
        self.layer3 = nn.Sequential(BasicBlock(STAGES[1], STAGES[2]))
        self.layer4 = nn.Sequential(BasicBlock(STAGES[2], STAGES[3]))

    def forward(self, pixels_b3ss: Tensor) -> Tensor:
        hidden = F.max_pool2d(F.relu(self.bn1(self.conv1(pixels_b3ss))), 3, stride=2, padding=1)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            hidden = stage(hidden)
        return hidden.mean((2, 3))


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut; where the channels grow, the side halves."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        grows = before != after
        self.conv1, self.bn1 = conv3(before, after, stride=2 if grows else 1), nn.BatchNorm2d(after)
        self.conv2, self.bn2 = conv3(after, after), nn.BatchNorm2d(after)
        halve = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False)
        projection = nn.Conv2d(before, after, 1, bias=False)
        self.downsample = nn.Sequential(halve, projection, nn.BatchNorm2d(after)) if grows else nn.Identity()

    def forward(self, hidden: Tensor) -> Tensor:
        inner = F.relu(self.bn1(self.conv1(hidden)))
        return F.relu(self.bn2(self.conv2(inner)) + self.downsample(hidden))


def conv3(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
