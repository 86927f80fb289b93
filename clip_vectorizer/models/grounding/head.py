"""The trained head of `emoji` as a grounder: one pass proposes boxes, crops of the best ones are embedded by the model.

The head's file has what differs from the model's own weights, and the revision of the model that it was trained on.

N regions · P phrases · D dimensions
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn

from clip_vectorizer.boxes import BoxArray, ScoreArray, suppress
from clip_vectorizer.errors import ModelUnavailable
from clip_vectorizer.models.devices import hash_weights
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.models.grounding.grounder import GrounderInfo, Groundings, Regions
from clip_vectorizer.models.grounding.network import RegionNetwork
from clip_vectorizer.models.grounding.phrases import PhraseScorer, find_cut_phrases
from clip_vectorizer.models.local_dir import load_plain_towers, read_config
from clip_vectorizer.models.pauses import run_break_work
from clip_vectorizer.models.plain import ResNetTower
from clip_vectorizer.phrase_probability import sigmoid
from clip_vectorizer.region_crops import cut_region
from clip_vectorizer.vectors import Vectors, unit

NAME, WEIGHTS_FILE, FACTS = "head", "grounding.safetensors", "head"
INPUT_SIDE = 192  # pixels of the longer side of a picture: that of the scenes it learned from
STEP = 32  # sides are multiples of it: the coarsest map of the trunk
MEAN = STD = 0.5  # of every channel of `emoji`
MOST_OVERLAP = 0.6  # of two proposals; phrases suppress further on their own
CONSIDERED = 150  # best places, before suppression
CROPS = 16  # best regions of a picture that are embedded and compared


@dataclass(frozen=True, slots=True)
class Comparison:
    """Cosines of each phrase to the regions of one picture."""

    regions: Regions
    head_pn: ScoreArray  # to the head's own vectors
    crop_pn: ScoreArray  # to the vectors of the crops; zeros without crops

    @property
    def features_pn3(self) -> ScoreArray:
        """Return both cosines, and the logit of the objectness."""
        objectness_n = self.regions.objectness_n
        odds_n = np.log(objectness_n / (1 - objectness_n))
        joined = np.stack([self.head_pn, self.crop_pn, np.broadcast_to(odds_n, self.head_pn.shape)], axis=-1)
        return joined.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A logistic regression: how likely a region is what a phrase names. Fitted on scenes with absent phrases, too."""

    weights: tuple[float, float, float]  # of the features of a comparison
    shift: float

    def compute_logits(self, found: Comparison) -> ScoreArray:
        return np.asarray(found.features_pn3 @ np.array(self.weights) + self.shift, dtype=np.float32)


UNCALIBRATED = Calibration((10.0, 10.0, 1.0), 0.0)  # orders regions; its probabilities mean nothing


class HeadGrounder:
    """`crops`: regions of a picture whose crops are embedded; 0: the head's own vectors alone."""

    def __init__(self, network: RegionNetwork, encoder: Encoder, calibration: Calibration, crops: int = CROPS) -> None:
        self._network, self._encoder, self._calibration, self._crops = network, encoder, calibration, crops
        self._scorer = PhraseScorer(encoder)
        self._info = GrounderInfo(NAME, hash_weights(network), fused=False)

    @property
    def info(self) -> GrounderInfo:
        return self._info

    def propose(self, image: Image.Image, limit: int) -> Regions:
        pixels, device = prepare_scene(image), next(self._network.parameters()).device
        with torch.inference_mode():
            maps = self._network(pixels.to(device))
        scale = np.array([pixels.shape[3], pixels.shape[2]] * 2, dtype=np.float32)
        boxes_l4 = np.clip(maps.boxes_bl4[0].cpu().numpy() / scale, 0, 1)
        objectness_l = maps.objectness_bl[0].sigmoid().clamp(1e-6, 1 - 1e-6).cpu().numpy()
        best = np.argsort(-objectness_l, kind="stable")[:CONSIDERED]
        kept = best[suppress(boxes_l4[best], objectness_l[best], MOST_OVERLAP)][:limit]
        boxes_n4 = boxes_l4[kept]
        with torch.inference_mode():
            vectors_nd = self._network.embed(maps, torch.from_numpy(boxes_n4 * scale).to(device)[None])[0].cpu().numpy()
        return Regions(boxes_n4, objectness_l[kept], vectors_nd)

    def ground(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Groundings:
        prepared = self._scorer.prepare(phrases)
        found = self._compare(image, self._scorer.encode(prepared))
        logits_pn = self._calibration.compute_logits(found)
        cosines_pn = (found.head_pn + found.crop_pn) / 2 if self._crops else found.head_pn
        probabilities_pn = sigmoid(logits_pn)
        return Groundings(
            found.regions,
            cosines_pn.astype(np.float32),
            probabilities_pn,
            find_cut_phrases(prepared),
        )

    def compare(self, image: Image.Image, phrases: Sequence[Sequence[str]]) -> Comparison:
        return self._compare(image, self.encode_phrases(phrases))

    def _compare(self, image: Image.Image, phrases_pd: Vectors) -> Comparison:
        regions = self.propose(image, self._crops or CONSIDERED)
        assert regions.vectors_nd is not None
        run_break_work()
        head_pn: ScoreArray = phrases_pd @ regions.vectors_nd.T
        crops_nd = self.encode_crops(image, regions.boxes_n4) if self._crops else np.zeros_like(regions.vectors_nd)
        return Comparison(regions, head_pn, phrases_pd @ crops_nd.T)

    def encode_phrases(self, phrases: Sequence[Sequence[str]]) -> Vectors:
        """Return (P, D) unit rows: the mean over the prompts of each phrase."""
        return self._scorer.encode(self._scorer.prepare(phrases))

    def encode_crops(self, image: Image.Image, boxes_n4: BoxArray) -> Vectors:
        """Return (N, D) unit rows."""
        crops = [self._encoder.prepare_image(cut_region(image, box)) for box in boxes_n4.tolist()]
        return unit(self._encoder.encode_images(crops))


def prepare_scene(image: Image.Image) -> Tensor:
    """Return (1, 3, h, w) normalised pixels of an upright RGB picture; sides are rounded to what the trunk takes."""
    scale = INPUT_SIDE / max(image.size)
    wide, high = (max(STEP, round(side * scale / STEP) * STEP) for side in image.size)
    pixels_hw3 = np.array(image.resize((wide, high), Image.Resampling.BICUBIC))
    return ((torch.from_numpy(pixels_hw3).permute(2, 0, 1)[None].float() / 255) - MEAN) / STD


def load_head(encoder: Encoder, folder: Path, crops: int = CROPS) -> HeadGrounder:
    """Return the head in `folder`, which has the weights of `encoder`, too. Raises ModelUnavailable."""
    file = folder / WEIGHTS_FILE
    if not file.exists():
        raise ModelUnavailable(f"{encoder.info.model} has no trained head ({file} does not exist); use tiles")
    with safe_open(file, framework="pt") as stored:
        facts = json.loads(stored.metadata()[FACTS])
        names = stored.keys()
        weights = {name: stored.get_tensor(name).float() for name in names}
    if facts["encoder"] != encoder.info.revision:
        raise ModelUnavailable(
            f"the head in {file} was trained on weights of revision {facts['encoder']}, and {encoder.info.model} has "
            f"{encoder.info.revision}; use tiles, or train a head for it: clip-vectorizer train grounding"
        )
    network = start_network(load_tower(folder), facts["channels"])
    own = {name for name in network.state_dict() if not name.startswith("trunk.")}
    if missing := own - set(weights):
        raise ModelUnavailable(f"{file} has no {', '.join(sorted(missing)[:3])}: it is no head of this version")
    network.load_state_dict(weights, strict=False)
    placed = network.eval().requires_grad_(False).to(encoder.info.device)
    calibration = Calibration(**facts["both" if crops else "alone"])
    return HeadGrounder(placed.to(memory_format=torch.channels_last), encoder, calibration, crops)


def load_tower(folder: Path) -> ResNetTower:
    """Return the image tower in `folder`. Raises ModelUnavailable."""
    tower = load_plain_towers(folder, read_config(folder)["model_cfg"]).visual
    if not isinstance(tower, ResNetTower):
        raise ModelUnavailable(f"the head is for the image tower of emoji, not for the one in {folder}")
    return tower


def start_network(tower: ResNetTower, channels: int) -> RegionNetwork:
    """Return a head with random weights on an image tower."""
    projection = tower.head["proj"]
    assert isinstance(projection, nn.Linear)
    network = RegionNetwork(projection.out_features, channels)
    network.trunk.load_state_dict(tower.trunk.state_dict())
    network.direct.load_state_dict(projection.state_dict())
    return network


def describe_head(encoder: Encoder, channels: int, both: Calibration, alone: Calibration) -> Mapping[str, str]:
    """Return the metadata of the head's file, as `load_head` reads it."""
    facts = {"encoder": encoder.info.revision, "channels": channels, "both": asdict(both), "alone": asdict(alone)}
    return {FACTS: json.dumps(facts)}  # one entry: safetensors writes several in any order


def select_own_weights(network: nn.Module, state: Mapping[str, Tensor], tuned: Sequence[str]) -> dict[str, Tensor]:
    """Return what is stored of `state`, in fp16: all but the stages of the trunk that are those of `emoji`."""
    shared = tuple(f"trunk.{name}." for name, _ in network.get_submodule("trunk").named_children() if name not in tuned)
    return {
        name: value.half() for name, value in state.items() if not name.startswith(shared) and value.is_floating_point()
    }
