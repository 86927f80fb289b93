"""The two stages of the emoji model: a convolutional teacher is trained on captions, a transformer on the teacher."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from open_clip.model import CLIP
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.training.augment import Augmentation, random_views
from clip_vectorizer.training.captions import draw_chinese_caption, draw_english_caption, encode_token_ids
from clip_vectorizer.training.contrastive import MAX_LOGIT_SCALE, WeightAverage, contrastive_loss
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.loop import TrainingStage, run_stage
from clip_vectorizer.training.towers import IMAGE_SIZE, embed_token_ids, embed_views

STYLE_SHARES = {"drawn": 0.5, "inked": 0.38, "lines": 0.12}  # line art has no colours: more of it reduces colour recall


@dataclass(frozen=True, slots=True)
class TrainingDrawings:
    """All training art: (A, N, 4, H, H) uint8 for each style; A art sets, N concepts."""

    concepts: Sequence[Concept]
    styles: dict[str, Tensor]

    def sample(self, chosen_b: Tensor) -> Tensor:
        """Return (B, 4, H, H): one random art set and style for each chosen concept."""
        arts = torch.randint(len(self.styles["drawn"]), (len(chosen_b),))
        names = random.choices(list(STYLE_SHARES), weights=list(STYLE_SHARES.values()), k=len(chosen_b))
        picked = zip(names, arts.tolist(), chosen_b.tolist(), strict=True)
        return torch.stack([self.styles[style][art, index] for style, art, index in picked])


def train_teacher(model: CLIP, drawings: TrainingDrawings, tokenizer: Tokenizer, stage: TrainingStage) -> WeightAverage:
    """Train both towers by contrastive learning, each drawing with an English and a Chinese caption."""
    rng = random.Random(stage.seed)

    def loss_of(chosen_b: Tensor) -> Tensor:
        images = embed_views(model, random_views(drawings.sample(chosen_b), IMAGE_SIZE, Augmentation()))
        concepts = [drawings.concepts[index] for index in chosen_b.tolist()]
        captions = [draw_english_caption(item, rng) for item in concepts] + [
            draw_chinese_caption(item, rng) for item in concepts
        ]
        english, chinese = embed_token_ids(model, encode_token_ids(tokenizer, captions)).chunk(2)
        scale = model.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
        return (contrastive_loss(images, english, scale) + contrastive_loss(images, chinese, scale)) / 2

    return run_stage("teacher", model, len(drawings.concepts), stage, loss_of)


def train_student(
    student: CLIP, teacher: CLIP, drawings: TrainingDrawings, names: Sequence[Tensor], stage: TrainingStage
) -> WeightAverage:
    """Train the student on the vectors of the teacher; `names`: frozen name vectors (N, D), one array per language."""

    def loss_of(chosen_b: Tensor) -> Tensor:
        views = random_views(drawings.sample(chosen_b), IMAGE_SIZE, Augmentation())
        with torch.no_grad():
            targets = embed_views(teacher, views)
        images = embed_views(student, views)
        apart = (1 - (images * targets).sum(-1)).mean()
        scale = student.logit_scale.exp()
        others = torch.ones(len(drawings.concepts), dtype=torch.bool).scatter(0, chosen_b, False)
        named = sum(
            (contrastive_loss(images, words[chosen_b], scale, words[others]) for words in names), torch.zeros(())
        )
        return 4 * apart + 0.3 * named / len(names)

    return run_stage("student", student, len(drawings.concepts), stage, loss_of)
