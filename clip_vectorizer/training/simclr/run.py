"""Trains an image-only encoder on pages without labels (SimCLR): from the options to a folder that `serve` takes.

A step's pages and views follow from its number and the seed alone, so a training that continues is the same one.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clip_vectorizer.errors import InputError, TrainingDiverged
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.image_only import ImageOnlyConfig, save_image_only
from clip_vectorizer.progress import SILENT, StepProgress
from clip_vectorizer.training.checkpoint import CHECKPOINT, TrainingState, check_unchanged, load_state, save_state
from clip_vectorizer.training.contrastive import build_optimizer, learning_rate
from clip_vectorizer.training.curves import CurveFile, CurvePanel, draw_panels
from clip_vectorizer.training.pair_loader import BatchOrder
from clip_vectorizer.training.simclr.network import ARCHITECTURE, SimclrNetwork
from clip_vectorizer.training.simclr.nt_xent import ViewHealth, measure_health, nt_xent
from clip_vectorizer.training.simclr.pages import DrawnPages, load_pages
from clip_vectorizer.training.simclr.plan import WARMUP_SHARE, SimclrPlan
from clip_vectorizer.training.simclr.views import Dice, draw_views
from clip_vectorizer.training.tower_training import descend, set_learning_rate

WEIGHT_DECAY = 0.01  # of AdamW
PANELS = (
    CurvePanel("Loss of each batch", "NT-Xent", ("loss",)),
    CurvePanel("Views nearest to the other view of their page", "share", ("top1",), (0, 1.02)),
    CurvePanel("Distances, lower is better", "", ("alignment", "uniformity")),
)

DrawViews = Callable[[Tensor, int, Dice], Tensor]  # (B, C, C) uint8, S, numbers -> (B, 1, S, S)


def train_simclr(plan: SimclrPlan, progress: StepProgress = SILENT, views: DrawViews = draw_views) -> Path:
    """Train, and return the folder of the model. Raises InputError, SettingsError, TrainingDiverged, OSError.

    `views` makes one view of each page of a batch; others than the usual are for comparisons.
    """
    plan.check_paths()
    Placement(plan.device, plan.precision).check()
    if plan.steps == 0:
        network = SimclrNetwork(plan.seed)
    else:
        pages = load_pages(plan.source, plan.pages, plan.side, progress, plan.pdf_passwords)
        run = SimclrRun(plan, pages, progress, views)
        run.train()
        network = run.network
    config = ImageOnlyConfig(ARCHITECTURE, plan.side, plan.describe())
    save_image_only(plan.output, network.backbone, config)
    if plan.steps != 0:
        run.finish()
    return plan.output


class SimclrRun:
    """One training from its start, or from its checkpoint, to its end."""

    def __init__(
        self, plan: SimclrPlan, pages: DrawnPages, progress: StepProgress, views: DrawViews = draw_views
    ) -> None:
        self._plan, self._pages, self._progress, self._views = plan, pages, progress, views
        self._order = BatchOrder(len(pages.keys), min(plan.batch, len(pages.keys)), plan.seed)
        self._steps = self._order.steps * plan.epochs if plan.steps is None else plan.steps
        self._warmup = math.ceil(WARMUP_SHARE * self._steps)
        network = SimclrNetwork(plan.seed).to(plan.device)
        self.network: SimclrNetwork = network.to(memory_format=torch.channels_last)
        self._optimizer = build_optimizer(self.network, plan.learning_rate, WEIGHT_DECAY)
        self._step = 0
        plan.state.mkdir(parents=True, exist_ok=True)
        if plan.resume:
            self._restore()
        self._curve = CurveFile(plan.state, self._step)

    def train(self) -> None:
        """Run all steps that are left. Raises TrainingDiverged."""
        self._progress.step("training")
        self.network.train()
        began, first = time.monotonic(), self._step
        while self._step < self._steps:
            loss, health = self._learn()
            rate = (self._step - first) * self._order.batch / (time.monotonic() - began)
            self._progress.detail(
                f"step {self._step:,} of {self._steps:,}, loss {loss:.3f}, top-1 {health.top1:.3f}, {rate:.0f} pages/s"
            )
            if self._step % self._plan.checkpoint_steps == 0:
                self._save()

    def finish(self) -> None:
        """Draw the curve; remove what only an unfinished training needs."""
        try:
            draw_panels(self._plan.state, PANELS)
        except InputError as error:
            self._progress.note(str(error))
        (self._plan.state / CHECKPOINT).unlink(missing_ok=True)
        if self._plan.work is None:
            shutil.rmtree(self._plan.pages, ignore_errors=True)

    def _learn(self) -> tuple[float, ViewHealth]:
        """One step of the optimizer. Raises TrainingDiverged."""
        rate = learning_rate(self._step, self._steps, self._warmup, self._plan.learning_rate)
        set_learning_rate(self._optimizer, rate)
        views_n1ss = self._draw_views()
        with torch.autocast(views_n1ss.device.type, torch.bfloat16, enabled=self._plan.precision == "bf16"):
            projected_nd = self.network(views_n1ss)  # both views together: batch norms see all of them
        first_bd, second_bd = projected_nd.float().chunk(2)
        loss = nt_xent(first_bd, second_bd, self._plan.temperature)
        self._step += 1
        if not math.isfinite(loss.item()):
            raise TrainingDiverged(
                f"the loss is {loss.item()} at step {self._step}; lower --learning-rate (it is "
                f"{self._plan.learning_rate:g}) or raise --temperature, with another --output"
            )
        descend(self.network, self._optimizer, loss)
        health = measure_health(first_bd, second_bd)
        epoch = math.ceil(self._step / self._order.steps)
        line = {"step": self._step, "epoch": epoch, "loss": loss.item(), "learning_rate": rate, **asdict(health)}
        self._curve.add(line)
        return loss.item(), health

    def _draw_views(self) -> Tensor:
        """(2 B, 1, S, S): the first views of all pages of the step, then the second ones."""
        numbers = self._order.choose(self._step)
        pages_bcc = torch.from_numpy(np.ascontiguousarray(self._pages.pages_ncc[numbers])).to(self._plan.device)
        dice = Dice(draw_seed(self._plan.seed, self._step), self._plan.device)
        return torch.cat([self._views(pages_bcc, self._plan.side, dice) for _ in range(2)])

    def _save(self) -> None:
        state = TrainingState(
            step=self._step,
            model=self.network.state_dict(),
            optimizer=self._optimizer.state_dict(),
            random_numbers=[],  # those of a step follow from its number
            best_recall=-1.0,
            stale_epochs=0,
            options=self._plan.describe(),
            data=self._pages.digest,
        )
        save_state(state, self._plan.state)

    def _restore(self) -> None:
        """Continue from the checkpoint. Raises InputError."""
        state = load_state(self._plan.state)
        check_unchanged(state, self._plan.describe(), self._pages.digest)
        self.network.load_state_dict(state.model)
        self._optimizer.load_state_dict(state.optimizer)
        self._step = state.step
        self._progress.note(f"continuing after step {state.step:,} of {self._steps:,}")


def draw_seed(seed: int, step: int) -> int:
    """A seed for the views of one step."""
    return int(np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0] >> 1)
