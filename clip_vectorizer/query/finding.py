"""The searches, as flows: what is asked of Weaviate and what is made of its answers."""

from collections.abc import Iterator, Sequence

from clip_vectorizer.errors import InputError
from clip_vectorizer.query.asking import MAX_RESULTS, Question, whole
from clip_vectorizer.query.calls import Plan, Searched, group_call, known, window
from clip_vectorizer.query.folding import folded
from clip_vectorizer.query.hits import Group, Hit
from clip_vectorizer.query.reading import Row, hit
from clip_vectorizer.query.steps import Flow

MORE = 4  # so many times as much is asked for, when equal images took the places
ROUNDING = 1e-5  # between a similarity of Weaviate's and the same one here


def found(plan: Plan, searched: Searched, limit: int, offset: int = 0) -> Flow[list[Hit]]:
    """Hits `offset` .. `offset + limit`, best first; fewer where there are no more."""
    if sifted(plan):
        return (yield from sifting(plan, searched, limit, offset))
    call, left_out = window(plan, limit, offset)
    answer = yield call
    return hits(answer.objects, plan, searched)[left_out:]


def sifted(plan: Plan) -> bool:
    """Whether some of what Weaviate finds falls away here: copies, and what only the words found."""
    question = plan.question
    return question.fold or (question.captions > 0 and question.min_similarity is not None)


def sifting(plan: Plan, searched: Searched, limit: int, offset: int) -> Flow[list[Hit]]:
    """The same, counted in hits that stay. Asks from the beginning, for more and more, until there are enough."""
    wanted = offset + limit
    asked = min(wanted + limit, MAX_RESULTS)
    while True:
        call, _ = window(plan, asked)
        answer = yield call
        kept = hits(answer.objects, plan, searched)
        # One more than wanted: equal images are equally near, so the last one's copies have all been seen by then.
        if len(kept) > wanted or len(answer.objects) < asked or asked == MAX_RESULTS:
            return kept[offset:wanted]
        asked = min(MORE * asked, MAX_RESULTS)


def grouped(plan: Plan, searched: Searched, by: str, per_group: int, count: int) -> Flow[list[Group]]:
    """The best `count` values of the property `by`, each with its best hits."""
    answer = yield group_call(plan, by, per_group, count)
    named = ((name, hits(group.objects, plan, searched)) for name, group in answer.groups.items())
    return [Group(name, tuple(members)) for name, members in named if members]


def hits(rows: Sequence[Row], plan: Plan, searched: Searched) -> list[Hit]:
    """In the order of the rows: those that are similar enough, equal ones folded where that is asked."""
    least = plan.question.min_similarity
    near = [(hit(row, plan, searched), row) for row in rows]
    if least is not None:
        near = [(each, row) for each, row in near if each.similarity >= least - ROUNDING]
    return folded(near) if plan.question.fold else [each for each, _ in near]


def check_groups(plan: Plan, searched: Searched, by: str, per_group: int, count: int) -> None:
    """Raises InputError for what cannot be grouped."""
    known(by, searched)
    whole("per_group", per_group, 1)
    whole("groups", count, 1)
    if plan.question.diversity is not None:
        raise InputError("groups are made of the nearest images; leave diversity away")


def windows(question: Question, size: int) -> Iterator[tuple[int, int]]:
    """Limit and offset of each page, until the question's own limit."""
    whole("size", size, 1)
    end = question.offset + question.limit
    for offset in range(question.offset, end, size):
        yield min(size, end - offset), offset
