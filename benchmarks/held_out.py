"""What a model finds among drawings that the bundled one never saw: by name, and by phrases that name nothing.

    python benchmarks/held_out.py --work WORK_FOLDER

The drawings and their names are those that `clip-vectorizer train emoji` measures on, from the npm packages in
WORK_FOLDER, and the tables are those that it writes. The phrases are in clip_vectorizer/training/phrase_queries.txt.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from benchmarks.common import Report, add_json_option
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.models.encoder import Encoder
from clip_vectorizer.training.art_sets import HELD_OUT_SET
from clip_vectorizer.training.drawing_store import load_art_set
from clip_vectorizer.training.drawings import Concept, fetch_packages, load_concepts
from clip_vectorizer.training.evaluation import (
    PHRASE_PRECISION_DEPTH,
    HeldOutFigures,
    encode_drawings,
    encode_texts,
    format_figures,
    format_phrases,
    mark_answers,
    measure_phrases,
    measure_recall,
    rank_drawings,
)
from clip_vectorizer.training.phrases import PhraseQuery, load_phrase_queries
from clip_vectorizer.vectors import Pixels, Vectors


@click.command()
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), required=True, help="Packages and drawings.")
@click.option("--model", default="emoji", show_default=True, help="Any name that `clip-vectorizer serve` takes.")
@click.option("--each", is_flag=True, help="Print what each phrase finds first; right answers are marked with +.")
@add_json_option
def main(work: Path, model: str, each: bool, json_file: Path | None) -> None:
    """Measure a model on the held-out drawings; the first run renders them, in about a minute.

    \b
    Example:
      python benchmarks/held_out.py --work ~/emoji --model local-dir:$HOME/emoji/model --each
    """
    report = Report("A model on held-out drawings")
    report.begin()
    concepts, drawings = load_held_out(work)
    encoder = load_encoder(ModelName(model), Placement())
    report.note(f"{model}, {len(concepts)} drawings; ± is one standard error")
    drawn = encode_drawings(encoder, drawings)
    phrases = measure_phrases(encoder, concepts, drawn, load_phrase_queries())
    report.note(format_figures(HeldOutFigures(measure_recall(encoder, concepts, drawn), phrases)))
    untagged = list_untagged_phrases(concepts)
    report.note(f"the {len(untagged)} phrases that are, word for word, no tag in emojibase:")
    report.note(format_phrases(measure_phrases(encoder, concepts, drawn, untagged)))
    if each:
        for line in list_first_drawings(encoder, concepts, drawn):
            report.note(line)
    report.write(json_file)


def load_held_out(work: Path) -> tuple[list[Concept], Pixels]:
    """Return the concepts and their drawings, (N, H, H, 4) uint8 RGBA."""
    packages = fetch_packages(work / "packages")
    concepts = load_concepts(packages)
    drawings = load_art_set(work, packages, concepts, HELD_OUT_SET, ("drawn",)).styles["drawn"]
    return concepts, drawings.permute(0, 2, 3, 1).numpy()


def list_untagged_phrases(concepts: Sequence[Concept]) -> list[PhraseQuery]:
    tags = {tag.lower() for concept in concepts for tag in (*concept.tags_en, *concept.tags_zh)}
    return [query for query in load_phrase_queries() if query.text.lower() not in tags]


def list_first_drawings(encoder: Encoder, concepts: Sequence[Concept], drawings_nd: Vectors) -> Iterator[str]:
    queries = load_phrase_queries()
    mask_qn = mark_answers(queries, concepts)
    similarity_qn = encode_texts(encoder, [query.text for query in queries]) @ drawings_nd.T
    order_qn = rank_drawings(similarity_qn, mask_qn)[:, :PHRASE_PRECISION_DEPTH]
    for query, order, right in zip(queries, order_qn, mask_qn, strict=True):
        names = ("+" * bool(right[place]) + concepts[place].name_en for place in order)
        yield f"{query.text}: {', '.join(names)}"


if __name__ == "__main__":
    main()
