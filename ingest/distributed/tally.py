"""The rows that come back, counted: each once, and none may be missing."""

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field

from clip_vectorizer.errors import VectorizerError
from ingest.distributed.parts import Part
from ingest.distributed.rows import Row
from ingest.items import Outcome
from ingest.listing import Listed
from ingest.pipeline import Listener
from ingest.report import IngestReport

LOST = "Weaviate took it, but does not hold it; run the same command again"


@dataclass(slots=True)
class Tally:
    parts: Sequence[Part]
    report: IngestReport
    listener: Listener
    sent: list[bytes] = field(default_factory=list)  # pickled lists of outcomes: a fifth of their size in memory
    _rows: dict[int, set[int]] = field(default_factory=dict)  # by part
    _ends: dict[int, int] = field(default_factory=dict)  # the number of the last row, by part

    def take(self, row: Row) -> None:
        """A row that comes a second time counts for nothing. Raises the error that ended it."""
        rows = self._rows.setdefault(row.part, set())
        if row.number in rows:
            return
        rows.add(row.number)
        for event in row.events:
            self._tell(event)
        if uploaded := [event for event in row.events if isinstance(event, Outcome) and event.sha256]:
            self.sent.append(pickle.dumps(uploaded))
        if row.error:
            raise row.error
        if row.is_last:
            self._ends[row.part] = row.number
            if len(self._ends) == len(self.parts):
                self._tell(Listed(0, complete=True))

    def check(self) -> None:
        """Raises VectorizerError when a row never came."""
        for part in self.parts:
            end = self._ends.get(part.number)
            if end is None or len(self._rows[part.number]) != end + 1:
                raise VectorizerError("Ray has lost images on the way; the same command brings in what is missing")

    def take_back(self, lost: Sequence[Outcome]) -> None:
        for outcome in lost:
            self.listener(self.report, self.report.take_back(outcome, LOST))

    def _tell(self, event: object) -> None:
        if event == Listed(0, complete=True) and len(self._ends) < len(self.parts):
            return  # of one part
        self.report.take(event)
        self.listener(self.report, event)
