"""Deep fusion on top of the frozen head: regions and phrases of one question read each other before they are compared.

In GLIP (Li et al. 2022, section 3.2) layers of cross attention in both directions change regions O and phrases P before
S = O P^T. Here the layers see what the head found: the regions that it compares, and the vectors of the phrases. Stored
regions stay as they are; the layers would run when a question is there. `Mixing` has what takes the place of the
exchange in a control of the same size. An experiment (benchmarks/grounding_fusion.py): nothing else uses it.

B scenes · N regions · P phrases · D dimensions · W width · H heads · F features of a region
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clip_vectorizer.models.grounding.comparison import Calibration
from clip_vectorizer.training.contrastive import learning_rate
from clip_vectorizer.training.grounding.phrase_vectors import PhraseVectors
from clip_vectorizer.training.grounding.scene_regions import SceneRegions
from clip_vectorizer.training.grounding.targets import NOTHING
from clip_vectorizer.training.tower_training import descend

WIDTH = 64  # of a region or phrase inside
HEADS = 4
EXPANSION = 2  # of the feed-forward part
GEOMETRY = 10  # features of a region beside its vectors: of the box, objectness, and what common names reach
SMALLEST = 1e-6
ENOUGH = 0.5  # overlap with a true box, from which a region is right: that of AP50
UNSEEN = -1e4  # score of a region that is only padding


class Mixing(Enum):
    """What a row of a layer reads."""

    ACROSS = "cross"  # rows of the other side, by one matrix of scores: GLIP's
    WITHIN = "own"  # rows of its own side: no phrase reads a region
    ALONE = "alone"  # itself


class Start(Enum):
    """Where the logits of the calibrated head come in."""

    ADDED = "added"  # to the fused logits
    SCORES = "scores"  # added to them, and to the scores of each exchange
    SHARES = "shares"  # the same, after `compete`
    NONE = "none"  # nowhere: S' = O' P'^T alone


@dataclass(frozen=True, slots=True)
class FusionDesign:
    layers: tuple[Mixing, ...]
    start: Start = Start.ADDED


@dataclass(frozen=True, slots=True)
class FusionTraining:
    steps: int = 400
    batch: int = 32  # scenes
    peak: float = 2e-3  # highest learning rate
    warmup: int = 50  # steps
    weight_decay: float = 0.05
    phrases: tuple[int, int] = (2, 28)  # least and most of a question; those of the measures are 21 to 28
    seed: int = 0


@dataclass(frozen=True, slots=True)
class FusionInput:
    """Regions and phrases of B questions."""

    features_bnf: Tensor  # as `describe_regions` returns them
    phrases_bpd: Tensor
    logits_bpn: Tensor  # of the calibrated head
    padding_bn: Tensor  # True: no region


class FusionNetwork(nn.Module):
    """Returns logits (B, P, N). A new one with a start returns those of the calibrated head."""

    def __init__(self, dimension: int, design: FusionDesign) -> None:
        super().__init__()
        self._start = design.start
        self.region = nn.Linear(2 * dimension + GEOMETRY, WIDTH)
        self.phrase = nn.Linear(dimension, WIDTH)
        self.layers = nn.ModuleList(FusionLayer(mixing) for mixing in design.layers)
        self.region_norm, self.phrase_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.region_out, self.phrase_out = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.shift = nn.Parameter(torch.zeros(()))
        if design.start is not Start.NONE:
            nn.init.zeros_(self.phrase_out.weight)
            nn.init.zeros_(self.phrase_out.bias)

    def forward(self, given: FusionInput) -> Tensor:
        regions_bnw, phrases_bpw = self.region(given.features_bnf), self.phrase(given.phrases_bpd)
        logits_bpn = compete(given.logits_bpn) if self._start is Start.SHARES else given.logits_bpn
        prior_bpn = given.padding_bn[:, None] * UNSEEN
        if self._start in (Start.SCORES, Start.SHARES):
            prior_bpn = prior_bpn + logits_bpn
        for layer in self.layers:
            regions_bnw, phrases_bpw = layer(regions_bnw, phrases_bpw, prior_bpn, given.padding_bn)
        rows_bnw = self.region_out(self.region_norm(regions_bnw))
        rows_bpw = self.phrase_out(self.phrase_norm(phrases_bpw))
        change_bpn: Tensor = rows_bpw @ rows_bnw.transpose(1, 2) / math.sqrt(WIDTH) + self.shift
        return change_bpn if self._start is Start.NONE else logits_bpn + change_bpn


def compete(logits_bpn: Tensor) -> Tensor:
    """Add the logarithm of each phrase's share of a region among all phrases of the question: an exchange by itself.

    The only phrase of a question has all of each region, so its logits stay.
    """
    return logits_bpn + logits_bpn.log_softmax(1)


class FusionLayer(nn.Module):
    """Attention, then a feed-forward part for each side; each is added to what it gets, normalised before."""

    def __init__(self, mixing: Mixing) -> None:
        super().__init__()
        self._mixing = mixing
        self.attention = TwoSidedAttention()
        self.region_norm, self.phrase_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.region_forward, self.phrase_forward = build_forward(), build_forward()

    def forward(
        self, regions_bnw: Tensor, phrases_bpw: Tensor, prior_bpn: Tensor, padding_bn: Tensor
    ) -> tuple[Tensor, Tensor]:
        sides = self.region_norm(regions_bnw), self.phrase_norm(phrases_bpw)
        if self._mixing is Mixing.ACROSS:
            regions_change, phrases_change = self.attention.read_across(*sides, prior_bpn)
        elif self._mixing is Mixing.WITHIN:
            regions_change, phrases_change = self.attention.read_within(*sides, padding_bn)
        else:
            regions_change, phrases_change = self.attention.read_alone(*sides)
        regions_bnw, phrases_bpw = regions_bnw + regions_change, phrases_bpw + phrases_change
        return regions_bnw + self.region_forward(regions_bnw), phrases_bpw + self.phrase_forward(phrases_bpw)


def build_forward() -> nn.Sequential:
    inner = EXPANSION * WIDTH
    return nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, inner), nn.GELU(), nn.Linear(inner, WIDTH))


class TwoSidedAttention(nn.Module):
    """GLIP's X-MHA (section 3.2): Q_O = O W, Q_P = P W, scores A = Q_O Q_P^T / sqrt(d), one matrix for both directions.

    Regions get softmax(A) V_P W, phrases softmax(A^T) V_O W. The controls use the same weights within each side.
    """

    def __init__(self, width: int = WIDTH, heads: int = HEADS) -> None:
        super().__init__()
        self._heads = heads
        self.region_query, self.phrase_query = nn.Linear(width, width), nn.Linear(width, width)
        self.region_value, self.phrase_value = nn.Linear(width, width), nn.Linear(width, width)
        self.region_out, self.phrase_out = nn.Linear(width, width), nn.Linear(width, width)

    def read_across(self, regions_bnw: Tensor, phrases_bpw: Tensor, prior_bpn: Tensor) -> tuple[Tensor, Tensor]:
        """Return what regions read in phrases, and phrases in regions. `prior_bpn` is added to the scores."""
        phrases, regions = self._split(self.phrase_query(phrases_bpw)), self._split(self.region_query(regions_bnw))
        scores_bhpn = score(phrases, regions) + prior_bpn[:, None]
        read_n = scores_bhpn.transpose(2, 3).softmax(-1) @ self._split(self.phrase_value(phrases_bpw))
        read_p = scores_bhpn.softmax(-1) @ self._split(self.region_value(regions_bnw))
        return self.region_out(join_heads(read_n)), self.phrase_out(join_heads(read_p))

    def read_within(self, regions_bnw: Tensor, phrases_bpw: Tensor, padding_bn: Tensor) -> tuple[Tensor, Tensor]:
        """Return what regions read in regions, and phrases in phrases."""
        regions, phrases = self._split(self.region_query(regions_bnw)), self._split(self.phrase_query(phrases_bpw))
        scores_bhnn = score(regions, regions) + padding_bn[:, None, None] * UNSEEN
        read_n = scores_bhnn.softmax(-1) @ self._split(self.region_value(regions_bnw))
        read_p = score(phrases, phrases).softmax(-1) @ self._split(self.phrase_value(phrases_bpw))
        return self.region_out(join_heads(read_n)), self.phrase_out(join_heads(read_p))

    def read_alone(self, regions_bnw: Tensor, phrases_bpw: Tensor) -> tuple[Tensor, Tensor]:
        return (
            self.region_out(self.region_value(regions_bnw)) + self.region_query(regions_bnw),
            self.phrase_out(self.phrase_value(phrases_bpw)) + self.phrase_query(phrases_bpw),
        )

    def _split(self, rows_bnw: Tensor) -> Tensor:
        """Return (B, H, N, W / H)."""
        return rows_bnw.view(*rows_bnw.shape[:2], self._heads, -1).transpose(1, 2)


def score(first: Tensor, second: Tensor) -> Tensor:
    return first @ second.transpose(-1, -2) / math.sqrt(first.shape[-1])


def join_heads(rows_bhnw: Tensor) -> Tensor:
    return rows_bhnw.transpose(1, 2).flatten(2)


def train_fusion(
    regions: SceneRegions, phrases: PhraseVectors, calibration: Calibration, design: FusionDesign, plan: FusionTraining
) -> FusionNetwork:
    """Return a network that learned which regions are right for which phrases, by binary cross-entropy."""
    torch.manual_seed(plan.seed)
    rng = random.Random(plan.seed)
    network = FusionNetwork(regions.heads_snd.shape[-1], design).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.peak, weight_decay=plan.weight_decay)
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, plan.steps, plan.warmup, plan.peak)
        batch, truth_bpn = draw_questions(regions, phrases, calibration, plan, rng)
        descend(network, optimizer, measure_loss(network(batch), truth_bpn, batch.padding_bn))
    return network.eval().requires_grad_(False)


def measure_loss(logits_bpn: Tensor, truth_bpn: Tensor, padding_bn: Tensor) -> Tensor:
    """Return the binary cross-entropy of all pairs, a share of the right ones."""
    each = F.binary_cross_entropy_with_logits(logits_bpn, truth_bpn, reduction="none")
    return (each * ~padding_bn[:, None]).sum() / truth_bpn.sum().clamp(min=1)


def draw_questions(
    regions: SceneRegions, phrases: PhraseVectors, calibration: Calibration, plan: FusionTraining, rng: random.Random
) -> tuple[FusionInput, Tensor]:
    """Return random questions about random scenes, and (B, P, N) which region is right for which phrase."""
    some = rng.sample(range(len(regions)), min(plan.batch, len(regions)))
    count = min(rng.randint(*plan.phrases), phrases.concepts)
    asked = [choose_question(regions.concepts_sm[scene].tolist(), phrases.concepts, count, rng) for scene in some]
    vectors = torch.stack([phrases.draw(concepts, rng) for concepts in asked])
    owned_bpm = np.array(asked)[:, :, None] == regions.concepts_sm[some][:, None]
    right_bnm = regions.overlaps_snm[some] >= ENOUGH
    truth_bpn = (owned_bpm[:, :, None] & right_bnm[:, None]).any(-1)
    return prepare(regions, some, vectors, calibration), torch.from_numpy(truth_bpn).float()


def choose_question(things: Sequence[int], concepts: int, count: int, rng: random.Random) -> list[int]:
    """Return `count` distinct concepts: those of the scene, or in half of the questions some of them, and others."""
    shown = list(dict.fromkeys(each for each in things if each != NOTHING))
    rng.shuffle(shown)
    kept = shown[: count if rng.random() < 0.5 else rng.randint(1, count)]
    others = (each for each in rng.sample(range(concepts), min(concepts, count + len(shown))) if each not in shown)
    return [*kept, *(next(others) for _ in range(count - len(kept)))]


def prepare(regions: SceneRegions, scenes: Sequence[int], phrases_bpd: Tensor, calibration: Calibration) -> FusionInput:
    """Return the regions of scenes with the phrases of a question each."""
    heads_bnd, rows_bnd = (torch.from_numpy(rows[scenes]) for rows in (regions.heads_snd, regions.compared_snd))
    objectness_bn, names_bn = (torch.from_numpy(each[scenes]) for each in (regions.objectness_sn, regions.names_sn))
    odds_bn = torch.logit(objectness_bn.clamp(SMALLEST, 1 - SMALLEST))
    of_cosine, of_names, of_odds = calibration.weights
    of_region_bn = of_names * names_bn + of_odds * odds_bn + calibration.shift
    logits_bpn = of_cosine * phrases_bpd @ rows_bnd.transpose(1, 2) + of_region_bn[:, None]
    boxes_bn4 = torch.from_numpy(regions.boxes_sn4[scenes])
    length = math.sqrt(heads_bnd.shape[-1])  # of a vector whose numbers are about 1, as a linear layer wants them
    geometry = describe_boxes(boxes_bn4), odds_bn[..., None], length * names_bn[..., None]
    features_bnf = torch.cat([length * heads_bnd, length * rows_bnd, *geometry], dim=-1)
    return FusionInput(features_bnf, length * phrases_bpd, logits_bpn, objectness_bn == 0)


def describe_boxes(boxes_bn4: Tensor) -> Tensor:
    """Return (B, N, 8): corners, sides and their logarithms."""
    sides = boxes_bn4[..., 2:] - boxes_bn4[..., :2]
    return torch.cat([boxes_bn4, sides, sides.clamp(min=1e-3).log()], dim=-1)
