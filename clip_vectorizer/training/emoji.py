"""`clip-vectorizer train emoji`: from packages to the weights in `clip_vectorizer/models/emoji`.

1. Space: e5's vectors of all that is written about a concept, mapped so that they meet; a prototype for each concept.
2. Image tower: drawings of several artists to the prototypes of their concepts.
3. Text tower: texts in general to their mapped e5 vectors, texts about concepts to the prototypes.

2 and 3 need only 1, so that two machines can share them. Whatever is finished stays in the work folder.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from open_clip.model import CLIP
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.training import drawings as art
from clip_vectorizer.training import towers
from clip_vectorizer.training.captions import TEMPLATES_EN, TEMPLATES_ZH, train_tokenizer
from clip_vectorizer.training.concept_texts import ConceptTexts
from clip_vectorizer.training.drawing_store import load_art_set
from clip_vectorizer.training.drawings import Concept
from clip_vectorizer.training.image_tower import STYLE_SHARES, DrawingSampler, ImageStage, train_image_tower
from clip_vectorizer.training.knowledge import ConceptText, load_knowledge
from clip_vectorizer.training.phrases import load_phrase_queries
from clip_vectorizer.training.sentence_vectors import SentenceVectors
from clip_vectorizer.training.shipping import export_model, measure_exported_model, save_weights, write_figures
from clip_vectorizer.training.text_corpus import build_text_corpus
from clip_vectorizer.training.text_space import KnownTexts, TextSpace, collect_texts, fit_text_space
from clip_vectorizer.training.text_tower import TextStage, train_text_tower

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Folders and stages of a training."""

    work: Path  # packages, vectors, rendered art, the tokenizer and finished stages, reused by later runs
    output: Path  # folder of the shipped model
    image: ImageStage
    text: TextStage


@dataclass(frozen=True, slots=True)
class Language:
    """What both towers aim at."""

    concepts: list[Concept]
    knowledge: list[list[ConceptText]]
    known: KnownTexts
    space: TextSpace
    prototypes_nd: Tensor


def train_emoji(plan: TrainingPlan) -> None:
    """Train both towers, export the model and measure it on the held-out art."""
    plan.work.mkdir(parents=True, exist_ok=True)
    with flush_denormals():
        packages = art.fetch_packages(plan.work / "packages")
        sentences = SentenceVectors(plan.work / "e5.npz")
        language = learn_language(plan.work, packages, sentences)
        model = towers.build_clip()
        load_image_tower(plan, packages, language, model)
        tokenizer = load_text_tower(plan, packages, language, sentences, model)
        export_model(model.eval(), tokenizer, plan.output)
        held_out = load_art_set(plan.work, packages, language.concepts, art.HELD_OUT_SET, ("drawn",))
        write_figures(plan.output, measure_exported_model(plan.output, language.concepts, held_out.styles["drawn"]))


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Flush denormal numbers, which slow a CPU down, to zero inside the context."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


def learn_language(work: Path, packages: Path, sentences: SentenceVectors) -> Language:
    concepts = art.load_concepts(packages)
    knowledge = load_knowledge(packages, concepts, sentences.embed)
    known = collect_texts(knowledge, sentences.embed)
    file = work / "space.safetensors"
    if not file.exists():
        fitted = fit_text_space(known, towers.EMBEDDING)
        save_weights({"mean": fitted.mean_e, "map": fitted.map_ed}, file)
    stored = load_file(file)
    space = TextSpace(stored["mean"], stored["map"])
    return Language(concepts, knowledge, known, space, known.compute_prototypes(space))


def load_image_tower(plan: TrainingPlan, packages: Path, language: Language, model: CLIP) -> None:
    """Fill the model's image tower, trained unless its weights are in the work folder."""
    file = plan.work / "image.safetensors"
    if not file.exists():
        sets = [
            load_art_set(plan.work, packages, language.concepts, name, tuple(STYLE_SHARES))
            for name in art.TRAINING_SETS
        ]
        sampler = DrawingSampler(sets, len(language.concepts))
        checkpoint = plan.work / "image.checkpoint"
        save_weights(
            train_image_tower(model.visual, sampler, language.prototypes_nd, plan.image, checkpoint), file
        )
    model.visual.load_state_dict(load_file(file))


def load_text_tower(
    plan: TrainingPlan, packages: Path, language: Language, sentences: SentenceVectors, model: CLIP
) -> Tokenizer:
    """Fill the model's text tower, trained unless its weights are in the work folder; return the tokenizer."""
    asked = {query.text.lower() for query in load_phrase_queries()}
    everything = [*build_text_corpus(packages), *language.known.texts]
    texts = [text for text in dict.fromkeys(everything) if text.lower() not in asked]
    tokenizer = load_tokenizer(plan.work, texts)
    file = plan.work / "text.safetensors"
    if not file.exists():
        targets = language.space.project(torch.from_numpy(sentences.embed(texts)))
        owned = ConceptTexts(language.knowledge, asked)
        model.visual.requires_grad_(False)
        state = train_text_tower(
            model, tokenizer, texts, targets, owned, language.prototypes_nd, plan.text, plan.work / "text.checkpoint"
        )
        save_weights({name: value for name, value in state.items() if not name.startswith("visual.")}, file)
    model.load_state_dict(load_file(file), strict=False)
    return tokenizer


def load_tokenizer(work: Path, texts: list[str]) -> Tokenizer:
    file = work / "tokenizer.json"
    if not file.exists():
        corpus = texts + [template.format("") for template in TEMPLATES_EN + TEMPLATES_ZH]
        train_tokenizer(corpus, towers.VOCABULARY, towers.CONTEXT).save(str(file))
    return Tokenizer.from_file(str(file))
