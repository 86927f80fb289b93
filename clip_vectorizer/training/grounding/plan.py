"""What a training of the head is: its scenes, its losses, its steps. No library is imported here."""

from dataclasses import dataclass, field
from pathlib import Path

WHITE, GRADIENT, BLURRED = "white", "gradient", "blurred"
GROUND_SHARES = {WHITE: 0.4, GRADIENT: 0.4, BLURRED: 0.2}
TUNED_STAGES = ("layer2", "layer3")  # of the trunk; the others are those of `emoji`
STAGES = ("layer1", "layer2", "layer3", "layer4")  # of the image tower of `emoji`


@dataclass(frozen=True, slots=True)
class ScenePlan:
    """How scenes differ."""

    size: tuple[int, int] = (192, 192)  # width and height in pixels
    counts: tuple[int, int] = (1, 8)  # least and most things
    sizes: tuple[float, float] = (20.0, 100.0)  # longer side of a drawing in pixels, uniform in the logarithm
    overlap: float = 0.3  # most share of the smaller of two boxes that the other covers
    repeated_share: float = 0.1  # of the things are another drawing of a concept that is there
    grounds: dict[str, float] = field(default_factory=lambda: GROUND_SHARES)


# More things than in the scenes of the measures, for more to learn from each, and larger ones: a picture may show one.
TRAINING_SCENES = ScenePlan(counts=(2, 8), sizes=(18.0, 140.0))


@dataclass(frozen=True, slots=True)
class LossWeights:
    """How much each part counts."""

    align: float = 1.0
    naming: float = 1.0
    box: float = 2.0  # GLIP's weight of GIoU
    objectness: float = 1.0


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """A pool of scenes of which only a share has boxes; a teacher finds them for the phrases of the others."""

    scenes: int
    labels_share: float = 0.1  # of the scenes with boxes
    teacher: Path | None = None  # weights of a head in a work folder; None: scenes without boxes are left out
    threshold: float = 0.3  # score from which a box of the teacher is a label
    first: int = 0  # number of the first scene: each number is another scene


@dataclass(frozen=True, slots=True)
class HeadStage:
    """Hyperparameters of the head."""

    steps: int = 8000
    batch: int = 8  # scenes
    peak: float = 2e-3  # highest learning rate
    trunk_share: float = 0.25  # of the learning rate for the trunk
    warmup: int = 50  # steps
    weight_decay: float = 0.02
    average: float = 0.998  # decay of the averaged weights
    absent: int = 96  # concepts beside those of a batch
    channels: int = 128
    tuned: tuple[str, ...] = TUNED_STAGES
    seed: int = 0
    checkpoint_steps: int = 200
    calibration: int = 400  # scenes
    weights: LossWeights = field(default_factory=LossWeights)
    scenes: ScenePlan = TRAINING_SCENES
    self_training: SelfTraining | None = None  # None: scenes without end, all with boxes

    @property
    def name(self) -> str:
        """Return the name of the stage's files: another design has files of its own."""
        parts = ["head", str(self.channels), *self.tuned, str(self.seed)]
        if pool := self.self_training:
            parts += [f"{pool.labels_share:g}-of-{pool.scenes}", *(["taught"] if pool.teacher else [])]
        return "-".join(parts)


@dataclass(frozen=True, slots=True)
class GroundingPlan:
    work: Path  # packages and rendered art, as those of `train emoji`; checkpoint and weights of the head
    output: Path  # gets the head and a copy of the model that it is for
    stage: HeadStage
    model: Path | None = None  # folder of the model; None: the bundled one
