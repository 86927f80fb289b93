"""The searches, as flows: what is asked of Weaviate and what is made of its answers."""

import json
import logging
from collections.abc import Iterator, Sequence

from weaviate.classes.config import DataType

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.filters.empty import explain_empty, grouping, values_asked, values_of
from clip_vectorizer.query.hits import Group, Hit
from clip_vectorizer.query.searching.asking import MAX_RESULTS, Question, whole
from clip_vectorizer.query.searching.calls import Plan, Searched, group_call, known, window
from clip_vectorizer.query.searching.folding import folded
from clip_vectorizer.query.searching.reading import Row, hit
from clip_vectorizer.query.searching.steps import Call, Flow

logger = logging.getLogger(__name__)

ROUNDING = 1e-5  # between the similarities of equal images
MORE = 4  # so many times as much is asked for, when equal images took the places


def found(plan: Plan, searched: Searched, limit: int, offset: int = 0) -> Flow[list[Hit]]:
    """Hits `offset` .. `offset + limit`, best first; fewer where there are no more."""
    if plan.question.fold or far_ones_among(plan.question):
        return (yield from different(plan, searched, limit, offset))
    call, left_out = window(plan, limit, offset)
    answer = yield call
    return hits(answer.objects, plan, searched)[left_out:]


def different(plan: Plan, searched: Searched, limit: int, offset: int) -> Flow[list[Hit]]:
    """The same, counted in images that are kept. Asks from the beginning, for more and more, until there are enough."""
    wanted = offset + limit
    asked = asked_at_first(limit, offset)
    while True:
        call, _ = window(plan, asked)
        answer = yield call
        kept = hits(answer.objects, plan, searched)
        if beyond(kept, wanted, plan.question) or len(answer.objects) < asked or asked == MAX_RESULTS:
            return kept[offset:wanted]
        asked = min(MORE * asked, MAX_RESULTS)


def far_ones_among(question: Question) -> bool:
    """A hybrid search bounds what the vector finds; what the words find may be anywhere."""
    return bool(question.captions) and question.min_similarity is not None


def beyond(kept: Sequence[Hit], wanted: int, question: Question) -> bool:
    """Whether all copies of the `wanted` first are seen: equal images are equally near, so by one that is less near.

    Where hits are not in the order of their similarity, one more has to do.
    """
    if len(kept) <= wanted or question.captions or question.diversity is not None:
        return len(kept) > wanted
    return kept[-1].similarity < kept[wanted - 1].similarity - ROUNDING


def asked_at_first(limit: int, offset: int) -> int:
    """How many images are fetched where equal ones will be folded."""
    return min(offset + 2 * limit, MAX_RESULTS)


def first_call(plan: Plan) -> Call:
    question = plan.question
    if question.fold or far_ones_among(question):
        return window(plan, asked_at_first(question.limit, question.offset))[0]
    return window(plan, question.limit, question.offset)[0]


def grouped(plan: Plan, searched: Searched, by: str, per_group: int, count: int) -> Flow[list[Group]]:
    """The best `count` values of the property `by`, each with its best hits."""
    answer = yield group_call(plan, by, per_group, count)
    named = ((name, hits(group.objects, plan, searched)) for name, group in answer.groups.items())
    of_text = searched.properties[by] in (DataType.TEXT, DataType.TEXT_ARRAY)
    return [Group(read_back(name) if of_text else name, tuple(members)) for name, members in named if members]


def read_back(name: str) -> str:
    """A group's name, which Weaviate writes as JSON does, but for the quotes around it: `rock \\u0026 roll`."""
    try:
        return str(json.loads(f'"{name}"', strict=False))
    except ValueError:
        return name


def hits(rows: Sequence[Row], plan: Plan, searched: Searched) -> list[Hit]:
    """In the order of the rows, equal ones folded where that is asked."""
    rows_of = [(hit(row, plan, searched), row) for row in rows]
    if far_ones_among(plan.question):
        least = plan.question.min_similarity
        rows_of = [(each, row) for each, row in rows_of if least is not None and each.similarity >= least]
    return folded(rows_of) if plan.question.fold else [each for each, _ in rows_of]


def check_groups(question: Question, searched: Searched, by: str, per_group: int, count: int) -> None:
    """Raises InputError for what cannot be grouped."""
    known(by, searched)
    if searched.properties[by] is DataType.BLOB:
        raise InputError(f"{by} holds files, of which no two need be equal; group by another property")
    whole("per_group", per_group, 1)
    whole("groups", count, 1)
    if question.diversity is not None:
        raise InputError("groups are made of the nearest images; leave diversity away")
    if question.offset or question.auto_limit:
        raise InputError("Weaviate makes groups from the nearest image on; leave offset and auto_limit away")


def windows(question: Question, size: int) -> Iterator[tuple[int, int]]:
    """Limit and offset of each page, until the question's own limit."""
    whole("size", size, 1)
    end = question.offset + question.limit
    for offset in range(question.offset, end, size):
        yield min(size, end - offset), offset


def empty_told(question: Question, searched: Searched) -> Flow[None]:
    """Nothing was found: logs which value of `where` no image has. Raises InputError where another one was meant."""
    asked = values_asked(question.where, searched.properties)
    held: dict[str, list[str]] = {}
    for name in asked:
        held[name] = values_of((yield Call("over_all", grouping(name), part="aggregate")))
    if hint := explain_empty(asked, held):
        logger.warning("%s", hint)
