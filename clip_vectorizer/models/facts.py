"""What is known of each model before it is loaded: size, cost, published accuracy, licence.

`facts.json` holds it; `benchmarks/model_facts.py` counts and collects it. Nothing here imports torch or open_clip.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from clip_vectorizer.models.names import TAG

FACTS_FILE = Path(__file__).with_name("facts.json")
EMOJI_NAME, EMOJI_LICENCE = "emoji", ("Apache-2.0", "clip_vectorizer/models/emoji/README.md")
RANDOM = "random"
# open_clip's names for weights of a repository that names none; the second is preferred where safetensors is there.
WEIGHT_NAMES = ("open_clip_pytorch_model.bin", "open_clip_model.safetensors")

# Licences that allow commercial use; the others do not, or are not known.
OPEN_LICENCES = ("MIT", "Apache-2.0")


@dataclass(frozen=True, slots=True)
class VisionTower:
    """Shape of a plain vision transformer: patches of `patch` x `patch` pixels; `width` and `mlp` in numbers."""

    patch: int
    layers: int
    width: int
    mlp: int
    heads: int


@dataclass(frozen=True, slots=True)
class CountedArchitecture:
    """What is the same for all weights of an architecture.

    GFLOP: of one image, and of one text of the full context; a multiplication and an addition are two. None: not known.
    """

    parameters: int
    image_parameters: int | None
    image_gflop: float
    text_gflop: float | None
    resolution: int
    dimension: int
    context: int
    tokenizer: str
    counted_by: str  # `built`, or the name of a published table
    tower: VisionTower | None


@dataclass(frozen=True, slots=True)
class ModelFacts(CountedArchitecture):
    """One row of the table of models.

    `top1`: share of ImageNet's validation images right without training. None or "": not known.
    """

    architecture: str
    tag: str
    top1: float | None = None
    top1_source: str = ""
    licence: str = ""
    licence_source: str = ""
    repository: str = ""  # of the weights, on the Hugging Face hub
    file: str = ""  # in that repository; "" is open_clip's usual name
    url_file: str = ""  # name of the file where the weights also have an address of their own

    @property
    def name(self) -> str:
        return f"{self.architecture}{TAG}{self.tag}" if self.tag else self.architecture

    @property
    def gflop(self) -> float | None:
        return None if self.text_gflop is None else self.image_gflop + self.text_gflop

    @property
    def is_free(self) -> bool:
        """Whether the licence is known and allows commercial use."""
        return self.licence in OPEN_LICENCES


def read_facts() -> list[ModelFacts]:
    """Return the bundled model, then open_clip's pretrained ones in open_clip's order."""
    facts, (licence, source) = load_facts(), EMOJI_LICENCE
    emoji = build_facts(EMOJI_NAME, "", facts["emoji"], {"licence": licence, "licence_source": source})
    return [emoji, *build_pretrained(facts)]


def read_architectures() -> list[ModelFacts]:
    """Return every architecture, as it is served with random weights."""
    return [build_facts(name, RANDOM, counted, {}) for name, counted in load_facts()["architectures"].items()]


def build_pretrained(facts: Mapping[str, Any]) -> Iterator[ModelFacts]:
    for row in facts["models"]:
        published = {key: value for key, value in row.items() if key not in ("architecture", "tag")}
        yield build_facts(row["architecture"], row["tag"], facts["architectures"][row["architecture"]], published)


def build_facts(architecture: str, tag: str, counted: Mapping[str, Any], published: Mapping[str, Any]) -> ModelFacts:
    tower = VisionTower(**counted["tower"]) if counted["tower"] else None
    return ModelFacts(architecture=architecture, tag=tag, **{**counted, "tower": tower}, **published)


@cache
def load_facts() -> dict[str, Any]:
    """Return `facts.json`: date, command, versions, architectures, models."""
    facts: dict[str, Any] = json.loads(FACTS_FILE.read_text(encoding="utf-8"))
    return facts


def is_cached(facts: ModelFacts, store: Path, url_store: Path) -> bool:
    """Whether the weights are on this machine: bundled, in the hub client's `store`, or in OpenAI's `url_store`.

    open_clip fetches from the hub where a model is in both places; a file in `url_store` serves without a network.
    """
    if facts.architecture == EMOJI_NAME or facts.tag == RANDOM:
        return True
    if facts.url_file and (url_store / facts.url_file).is_file():
        return True
    if not facts.repository:
        return False
    snapshots = store / f"models--{facts.repository.replace('/', '--')}" / "snapshots"
    names = (facts.file, Path(facts.file).with_suffix(".safetensors").name) if facts.file else WEIGHT_NAMES
    return any((folder / name).is_file() for folder in snapshots.glob("*") for name in names)


@dataclass(frozen=True, slots=True)
class ValuedModel:
    """A model whose cost and accuracy are known: GFLOP of an image and a text, points of ImageNet (0 to 100)."""

    facts: ModelFacts
    gflop: float
    points: float

    def gain_over(self, cheaper: "ValuedModel") -> float:
        """Points that each GFLOP buys which this model costs more than a cheaper one."""
        return (self.points - cheaper.points) / (self.gflop - cheaper.gflop)


def find_best_value(models: Iterable[ModelFacts], least_gain: float = 1.0) -> ModelFacts:
    """Return the model for production: after it, a further GFLOP buys little accuracy.

    It begins with the cheapest of `list_front(models)`; a dearer one replaces it if it gains at least `least_gain`
    points of accuracy for each GFLOP that it costs more. Raises ValueError if the front is empty.
    """
    best, *dearer = list_front(models)
    for model in dearer:
        if model.gain_over(best) >= least_gain:
            best = model
    return best.facts


def list_front(models: Iterable[ModelFacts]) -> list[ValuedModel]:
    """Return the free models of known cost that are more accurate than all cheaper ones, the cheapest first."""
    front: list[ValuedModel] = []
    known = [
        ValuedModel(model, model.gflop, 100 * model.top1)
        for model in models
        if model.is_free and model.gflop is not None and model.top1 is not None
    ]
    for model in sorted(known, key=lambda each: (each.gflop, -each.points)):
        if not front or model.points > front[-1].points:
            front.append(model)
    return front
