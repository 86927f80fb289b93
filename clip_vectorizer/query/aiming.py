"""From what is looked for to the call that looks for it. P parts · D dimensions"""

from collections.abc import Sequence
from uuid import UUID

import numpy as np
from weaviate.classes.query import Filter

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.errors import InputError, Mismatch, VectorizerError
from clip_vectorizer.query.asking import MAX_RESULTS, Question
from clip_vectorizer.query.blending import blend, moved, moved_away
from clip_vectorizer.query.calls import Plan, Searched, common, hybrid, moves_of, near_text, near_vector
from clip_vectorizer.query.lookup import did_you_mean
from clip_vectorizer.query.mixture import Given, InCollection, Mixture, Shown, Source, Text
from clip_vectorizer.query.reading import Row, text_of
from clip_vectorizer.query.steps import Call, EmbedImage, EmbedTexts, Flow
from clip_vectorizer.schema import PATH, image_id
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
        raise Mismatch(f"a vector of shape {vector_d.shape}; {info.model} makes ({info.dimension},)")
    return vector_d


def stored_rows(what: Mixture, searched: Searched) -> "Flow[dict[InCollection, Row]]":
    """The object of each stored image that `what` names. Raises InputError for one that is not there."""
    wanted = list(dict.fromkeys(source for _, source in what.parts if isinstance(source, InCollection)))
    if not wanted:
        return {}
    found = yield stored_call([source.key for source in wanted], searched)
    rows: dict[InCollection, Row] = {}
    for source in wanted:
        row = named(source.key, found.objects)
        if row is None:
            raise (yield from nowhere(source.key, searched))
        rows[source] = row
    return rows


def stored_call(keys: Sequence[str], searched: Searched) -> Call:
    """A path is looked for as such and by the id that it gives: objects that others made may have any id."""
    paths = [key for key in keys if not is_id(key)]
    ids = [key if is_id(key) else image_id(key) for key in keys]
    by_id = Filter.by_id().contains_any(ids)
    filters = Filter.any_of([by_id, Filter.by_property(PATH).contains_any(paths)]) if paths else by_id
    return Call(
        "fetch_objects",
        {
            "filters": filters,
            "limit": MAX_RESULTS,
            "include_vector": [searched.vector],
            "return_properties": [PATH],
        },
    )


def is_id(key: str) -> bool:
    try:
        return str(UUID(key)) == key.lower()
    except ValueError:
        return False


def named(key: str, rows: Sequence[Row]) -> Row | None:
    return next((row for row in rows if key.lower() == str(row.uuid) or key == row.properties.get(PATH)), None)


def nowhere(key: str, searched: Searched) -> Flow[InputError]:
    """What is said of an image that is not there; it names a near path, if there is one among the first 10,000."""
    answer = yield Call("fetch_objects", {"limit": MAX_RESULTS, "return_properties": [PATH]})
    paths = [text_of(row, PATH) for row in answer.objects]
    return InputError(
        f"the collection {searched.collection} holds no image {key}; {did_you_mean(key, paths)}"
        "name it by its path there or its id, as clip-search --json prints them"
    )


def stored_vector(row: Row, searched: Searched, key: str) -> Vectors:
    vector = row.vector.get(searched.vector)
    if not vector:
        raise VectorizerError(f"{key} is stored without a vector; run clip-ingest on it again (id {row.uuid})")
    return np.asarray(vector, dtype=np.float32)
