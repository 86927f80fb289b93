"""Every search of one collection as a flow, from the arguments to the answer: what both clients run."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Unpack

from clip_vectorizer.client import ModelInfo
from clip_vectorizer.query.filters.where import Where
from clip_vectorizer.query.hits import Group, Hit
from clip_vectorizer.query.searching.aiming import planned
from clip_vectorizer.query.searching.asking import MAX_RESULTS, Asked, Question, check_limits, whole
from clip_vectorizer.query.searching.calls import Plan, Searched, group_call
from clip_vectorizer.query.searching.finding import check_groups, empty_told, found, grouped
from clip_vectorizer.query.searching.listing import Listing
from clip_vectorizer.query.searching.mixture import What, mixture
from clip_vectorizer.query.searching.steps import Call, Flow, Step, noted

GROUPED = 1_000  # images among which groups are made


@dataclass(frozen=True, slots=True)
class PlannedSearch:
    """A search that stops before its last call."""

    plan: Plan
    steps: tuple[Step, ...]  # what was done to make the plan
    grouping: Call | None = None  # the last call, where groups are made


@dataclass(frozen=True, slots=True)
class Searches:
    searched: Searched
    info: ModelInfo

    def find(self, what: What, **asked: Unpack[Asked]) -> Flow[list[Hit]]:
        plan = yield from self.plan(what, Question(**asked))
        return (yield from self.page(plan, plan.question.limit, plan.question.offset))

    def groups(self, what: What, by: str, per_group: int, groups: int, **asked: Unpack[Asked]) -> Flow[list[Group]]:
        plan = yield from self.group_plan(what, by, per_group, groups, **asked)
        made = yield from grouped(plan, self.searched, by, per_group, groups)
        if not made:
            yield from empty_told(plan.question, self.searched)
        return made

    def explain(self, what: What, **asked: Unpack[Asked]) -> Flow[PlannedSearch]:
        steps: list[Step] = []
        plan = yield from noted(self.plan(what, Question(**asked)), steps)
        return PlannedSearch(plan, tuple(steps))

    def explain_groups(
        self, what: What, by: str, per_group: int, groups: int, **asked: Unpack[Asked]
    ) -> Flow[PlannedSearch]:
        steps: list[Step] = []
        plan = yield from noted(self.group_plan(what, by, per_group, groups, **asked), steps)
        return PlannedSearch(plan, tuple(steps), group_call(plan, by, per_group, groups))

    def group_plan(self, what: What, by: str, per_group: int, groups: int, **asked: Unpack[Asked]) -> Flow[Plan]:
        asked.setdefault("limit", GROUPED)
        question = Question(**asked)
        check_groups(question, self.searched, by, per_group, groups)
        return (yield from self.plan(what, question))

    def all_pages(self, what: What, **asked: Unpack[Asked]) -> Flow[Plan]:
        """What all pages have in common: their vector is made once."""
        offset = whole("offset", asked.get("offset", 0), 0)
        check_limits(1, offset)
        asked.setdefault("limit", MAX_RESULTS - offset)
        return (yield from self.plan(what, Question(**asked)))

    def page(self, plan: Plan, limit: int, offset: int) -> Flow[list[Hit]]:
        hits = yield from found(plan, self.searched, limit, offset)
        if not hits and not offset:
            yield from empty_told(plan.question, self.searched)
        return hits

    def plan(self, what: What, question: Question) -> Flow[Plan]:
        return (yield from planned(mixture(what), question, self.searched, self.info))

    def listing(self, where: Where, properties: Iterable[str], vectors: bool, thumbnails: bool) -> Listing:
        return Listing.of(self.searched, where, properties, vectors, thumbnails)
