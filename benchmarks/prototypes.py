"""Which half of the bundled model falls short: texts and drawings, each against the prototypes that both aim at.

    python benchmarks/prototypes.py --work WORK_FOLDER

WORK_FOLDER is that of `clip-vectorizer train emoji`: it has the text space and e5's vectors. Names and drawings of the
held-out art set are right where the prototype of their own concept is the nearest; phrases by precision@5.
"""

from pathlib import Path

import click
import numpy as np
import torch

from benchmarks.common import Report, add_json_option
from benchmarks.held_out import load_held_out
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.training.drawings import fetch_packages
from clip_vectorizer.training.emoji import learn_language
from clip_vectorizer.training.evaluation import (
    PHRASE_PRECISION_DEPTH,
    compute_recall,
    encode_drawings,
    encode_texts,
    mark_answers,
    rank_drawings,
)
from clip_vectorizer.training.phrases import load_phrase_queries
from clip_vectorizer.training.sentence_vectors import SentenceVectors
from clip_vectorizer.vectors import Vectors


@click.command()
@click.option(
    "--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="As `train emoji --work`."
)
@click.option("--model", default="emoji", show_default=True, help="A model that this work folder made.")
@add_json_option
def main(work: Path, model: str, json_file: Path | None) -> None:
    """Measure texts and drawings against the prototypes.

    \b
    Example:
      python benchmarks/prototypes.py --work ~/emoji --model local-dir:$HOME/emoji/model
    """
    report = Report("Texts and drawings against prototypes")
    report.begin()
    sentences = SentenceVectors(work / "e5.npz")
    language = learn_language(work, fetch_packages(work / "packages"), sentences)
    prototypes_nd: Vectors = language.prototypes_nd.numpy()
    encoder = load_encoder(ModelName(model), Placement())
    concepts, drawings = load_held_out(work)
    queries = load_phrase_queries()
    phrases, answers_qn = [query.text for query in queries], mark_answers(queries, concepts)
    by_e5: Vectors = language.space.project(torch.from_numpy(sentences.embed(phrases))).numpy()
    for name, rows in (("e5's vectors", by_e5), ("the text tower", encode_texts(encoder, phrases))):
        found = np.take_along_axis(answers_qn, rank_drawings(rows @ prototypes_nd.T, answers_qn), axis=1)
        precision = found[:, :PHRASE_PRECISION_DEPTH].mean()
        report.note(f"phrases by {name}: precision@{PHRASE_PRECISION_DEPTH} {precision:.3f}")
    for tongue in ("en", "zh"):
        names = encode_texts(encoder, [getattr(item, f"name_{tongue}") for item in concepts])
        report.note(f"names, {tongue}: {format_recall(names @ prototypes_nd.T)}")
    report.note(f"held-out drawings: {format_recall(encode_drawings(encoder, drawings) @ prototypes_nd.T)}")
    report.write(json_file)


def format_recall(similarity_nn: Vectors) -> str:
    first, _, tenth = compute_recall(similarity_nn)
    return f"recall@1 {first:.3f}, recall@10 {tenth:.3f}"


if __name__ == "__main__":
    main()
