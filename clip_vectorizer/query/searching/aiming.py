"""From what is looked for to the call that looks for it. P parts · D dimensions"""

from collections.abc import Sequence

import numpy as np

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError, Mismatch
from clip_vectorizer.query.searching.asking import Question
from clip_vectorizer.query.searching.blending import blend, moved, moved_away
from clip_vectorizer.query.searching.calls import Plan, Searched, common, hybrid, moves_of, near_text, near_vector
from clip_vectorizer.query.searching.mixture import Given, InCollection, Mixture, Shown, Source, Text
from clip_vectorizer.query.searching.reading import Row
from clip_vectorizer.query.searching.steps import EmbedImage, EmbedTexts, Flow
from clip_vectorizer.query.searching.stored_images import stored_rows, stored_vector
from clip_vectorizer.vectors import Vectors

START_AND_END = 2  # tokens that every text has beside its own


def planned(what: Mixture, question: Question, searched: Searched, info: ModelInfo) -> Flow[Plan]:
    """nearText where Weaviate can make the vector itself, else nearVector; hybrid where captions count."""
    words = what.only_text
    if words and searched.by_module and not question.captions:
        plan = near_text(words, question, searched)
        yield from cut_texts_told((words, *moving_texts(question)), info)
        return plan
    if question.captions:
        check_words(what, searched)
    common(question, searched)  # what cannot be asked is refused before anything is embedded
    rows = yield from stored_rows(what, searched)
    vector_d = yield from vector_of(what, question, searched, info, rows)
    but = [str(row.uuid) for source, row in rows.items() if not source.itself]
    if question.captions:
        return hybrid(what.words, vector_d, question, searched, but)
    return near_vector(vector_d, question, searched, but)


def check_words(what: Mixture, searched: Searched) -> None:
    if not what.words:
        raise InputError("captions are searched by words: give a text, or leave captions away")
    if not searched.words:  # Weaviate would look into paths and hashes
        raise InputError(f"the collection {searched.collection} has no text to search by words; leave captions away")


def cut_texts_told(texts: Sequence[str], info: ModelInfo) -> Flow[None]:
    """Asks the sidecar for its warnings, which Weaviate drops; nearText then finds the vectors cached."""
    long = tuple(text for text in texts if len(text.encode()) + START_AND_END > info.context_length)
    if long:  # else no tokenizer makes too many tokens
        yield EmbedTexts(long)


def moving_texts(question: Question) -> list[str]:
    return [move.text for move in moves_of(question).values()]


def vector_of(
    what: Mixture, question: Question, searched: Searched, info: ModelInfo, rows: "dict[InCollection, Row]"
) -> Flow[Vectors]:
    """(D,): the parts' blend, moved as the question says, by the arithmetic of nearText."""
    texts = tuple(dict.fromkeys([*texts_of(what), *moving_texts(question)]))
    vectors: dict[str, Vectors] = dict(zip(texts, (yield EmbedTexts(texts)), strict=True)) if texts else {}
    parts: list[Vectors] = []
    for _, source in what.parts:
        parts.append((yield from vector_of_part(source, vectors, rows, searched, info)))
    vector_d = blend([weight for weight, _ in what.parts], np.stack(parts))
    moves = moves_of(question)
    if move := moves.get("move_to"):
        vector_d = moved(vector_d, vectors[move.text], move.force)
    if move := moves.get("move_away"):
        vector_d = moved_away(vector_d, vectors[move.text], move.force)
    return vector_d


def texts_of(what: Mixture) -> list[str]:
    return [source.text for _, source in what.parts if isinstance(source, Text)]


def vector_of_part(
    source: Source, texts: dict[str, Vectors], rows: "dict[InCollection, Row]", searched: Searched, info: ModelInfo
) -> Flow[Vectors]:
    match source:
        case Text(text):
            return texts[text]
        case Shown(image):
            embedded: Vectors = yield EmbedImage(image)
            return embedded
        case InCollection(key):
            return stored_vector(rows[source], searched, key)
        case Given(vector_d):
            return fitting(vector_d, info)


def fitting(vector_d: Vectors, info: ModelInfo) -> Vectors:
    if vector_d.shape != (info.dimension,):
        raise Mismatch(
            f"a vector of shape {vector_d.shape}; the model of this collection, {info.model}, makes ({info.dimension},)"
        )
    return vector_d
