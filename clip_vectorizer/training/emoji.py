"""`clip-vectorizer train emoji`: from packages to the weights in `clip_vectorizer/models/emoji`.

1. Space: e5's vectors of all that is written about a concept, mapped so that they meet; a prototype for each concept.
2. Image tower: drawings of several artists to the prototypes of their concepts; then the same ones restyled.
3. Text tower: texts in general to their mapped e5 vectors, texts about concepts to the prototypes; then names, too.

2 and 3 need only 1. A finished stage stays in the work folder, and so does the last checkpoint of an unfinished one.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from open_clip.model import CLIP
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from clip_vectorizer.training import towers
from clip_vectorizer.training.art_sets import HELD_OUT_SET, TRAINING_SETS
from clip_vectorizer.training.concept_texts import ConceptTexts
from clip_vectorizer.training.drawing_store import load_art_set
from clip_vectorizer.training.drawings import Concept, fetch_packages, load_concepts
from clip_vectorizer.training.image_tower import DrawingSampler, ImageStage, train_image_tower
from clip_vectorizer.training.knowledge import NAME, ConceptText, load_knowledge
from clip_vectorizer.training.phrases import load_phrase_queries
from clip_vectorizer.training.sentence_vectors import SentenceVectors
from clip_vectorizer.training.shipping import export_model, measure_exported_model, write_figures
from clip_vectorizer.training.stage_files import load_or_train, save_weights
from clip_vectorizer.training.templates import TEMPLATES
from clip_vectorizer.training.text_corpus import CorpusSizes, build_text_corpus
from clip_vectorizer.training.text_space import KnownTexts, TextSpace, collect_texts, fit_text_space
from clip_vectorizer.training.text_tower import TextLessons, TextStage, train_text_tower
from clip_vectorizer.training.tokenizer import train_tokenizer
from clip_vectorizer.training.training_extras import check_extras


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Folders and stages of a training."""

    work: Path  # packages, vectors, rendered art, the tokenizer and finished stages, reused by later runs
    output: Path  # folder of the shipped model
    image: ImageStage
    restyled: ImageStage  # the image tower's second part; of no steps: none
    text: TextStage
    naming: TextStage  # the text tower's second part; of no steps: none
    without: tuple[str, ...] = ()  # art sets that the image tower does not see
    corpus: CorpusSizes = field(default_factory=CorpusSizes)

    @property
    def image_name(self) -> str:
        """Return the name of the image tower's files, which depend on the art sets."""
        return "-without-".join(["image", *sorted(set(self.without))])


@dataclass(frozen=True, slots=True)
class Language:
    """What both towers aim at."""

    concepts: list[Concept]
    knowledge: list[list[ConceptText]]
    known: KnownTexts
    space: TextSpace
    prototypes_nd: Tensor  # (N, D) unit rows: N concepts, D dimensions of the model


def train_emoji(plan: TrainingPlan, sentences: SentenceVectors | None = None) -> None:
    """Train both towers, export the model and measure it on the held-out art.

    `sentences` are e5's by default, kept in the work folder. Raises TrainingDataError.
    """
    check_extras()
    plan.work.mkdir(parents=True, exist_ok=True)
    with flush_denormals():
        packages = fetch_packages(plan.work / "packages")
        sentences = sentences or SentenceVectors(plan.work / "e5.npz")
        language = learn_language(plan.work, packages, sentences)
        train_model(plan, packages, language, sentences)
        held_out = load_art_set(plan.work, packages, language.concepts, HELD_OUT_SET, ("drawn",))
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
    """Return the space and the prototypes of all concepts; the space is fitted unless it is in the work folder."""
    concepts = load_concepts(packages)
    return build_language(work, concepts, load_knowledge(packages, concepts, sentences.embed), sentences)


def build_language(
    work: Path, concepts: list[Concept], knowledge: list[list[ConceptText]], sentences: SentenceVectors
) -> Language:
    known = collect_texts(knowledge, sentences.embed)
    file = work / "space.safetensors"
    if not file.exists():
        fitted = fit_text_space(known, towers.EMBEDDING)
        save_weights({"mean": fitted.mean_e, "map": fitted.map_ed}, file)
    stored = load_file(file)
    space = TextSpace(stored["mean"], stored["map"])
    return Language(concepts, knowledge, known, space, known.compute_prototypes(space))


def train_model(plan: TrainingPlan, packages: Path, language: Language, sentences: SentenceVectors) -> None:
    """Train both towers unless they are in the work folder, and export the model."""
    torch.manual_seed(plan.image.seed)
    model = towers.build_clip()
    with torch.no_grad():  # not trained: the scale at which the image tower learned to tell concepts apart
        model.logit_scale.fill_(math.log(plan.image.scale))
    load_image_tower(plan, packages, language, model)
    tokenizer = load_text_tower(plan, packages, language, sentences, model)
    export_model(model.eval(), tokenizer, plan.output)


def load_image_tower(plan: TrainingPlan, packages: Path, language: Language, model: CLIP) -> None:
    """Fill the model's image tower, trained unless its weights are in the work folder."""
    tower = model.visual

    def load_part(name: str, stage: ImageStage) -> None:
        def train() -> dict[str, Tensor]:
            names = [art for art in TRAINING_SETS if art not in plan.without]
            sets = [load_art_set(plan.work, packages, language.concepts, art, tuple(stage.styles)) for art in names]
            sampler = DrawingSampler(sets, len(language.concepts))
            return train_image_tower(tower, sampler, language.prototypes_nd, stage, plan.work / f"{name}.checkpoint")

        tower.load_state_dict(load_or_train(plan.work / f"{name}.safetensors", stage.steps, train))

    load_part(plan.image_name, plan.image)
    if plan.restyled.steps:
        load_part(f"{plan.image_name}-restyled", plan.restyled)


def load_text_tower(
    plan: TrainingPlan, packages: Path, language: Language, sentences: SentenceVectors, model: CLIP
) -> Tokenizer:
    """Fill the model's text tower, trained unless its weights are in the work folder; return the tokenizer."""
    texts = list_texts(packages, plan.corpus, language)
    tokenizer = load_tokenizer(plan.work, texts)

    def load_part(name: str, stage: TextStage) -> None:
        def train() -> dict[str, Tensor]:
            targets = language.space.project(torch.from_numpy(sentences.embed(texts)))
            if stage.naming:
                targets = replace_targets(targets, texts, language)
            owned = ConceptTexts(language.knowledge, list_evaluated_phrases())
            lessons = TextLessons(texts, targets, owned, language.prototypes_nd)
            state = train_text_tower(model, tokenizer, lessons, stage, plan.work / f"{name}.checkpoint")
            return {key: value for key, value in state.items() if is_text_weight(key)}

        stored = load_or_train(plan.work / f"{name}.safetensors", stage.steps, train)
        model.load_state_dict(stored, strict=False)  # has no image tower

    load_part("text", plan.text)
    if plan.naming.steps:
        load_part("text-naming", plan.naming)
    return tokenizer


def replace_targets(targets_td: Tensor, texts: Sequence[str], language: Language) -> Tensor:
    """Return targets in which the names of concepts have the prototype instead of their e5 vector."""
    rows = {text: row for row, text in enumerate(texts)}
    replaced = targets_td.clone()
    for index, written in enumerate(language.knowledge):
        for item in written:
            if item.kind == NAME and item.text in rows:
                replaced[rows[item.text]] = language.prototypes_nd[index]
    return replaced


def list_texts(packages: Path, sizes: CorpusSizes, language: Language) -> list[str]:
    """Return distinct texts in general and about concepts, without the phrases of the evaluation."""
    left_out = list_evaluated_phrases()
    everything = [*build_text_corpus(packages, sizes), *language.known.texts]
    return [text for text in dict.fromkeys(everything) if text.lower() not in left_out]


def list_evaluated_phrases() -> set[str]:
    return {query.text.lower() for query in load_phrase_queries()}


def is_text_weight(name: str) -> bool:
    return not name.startswith("visual.") and name != "logit_scale"


def load_tokenizer(work: Path, texts: Sequence[str]) -> Tokenizer:
    """Return the tokenizer in the work folder, trained on the texts and the templates unless it is there."""
    file = work / "tokenizer.json"
    if not file.exists():
        prompts = [template.format("") for templates in TEMPLATES.values() for template in templates]
        train_tokenizer([*texts, *prompts], towers.VOCABULARY, towers.CONTEXT).save(str(file))
    return Tokenizer.from_file(str(file))
