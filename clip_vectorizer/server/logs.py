"""How the log looks: lines for people on stderr, and at debug one JSON object for each request."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)s %(message)s"
OURS = "clip_vectorizer"
REQUESTS = "clip_vectorizer.server.answering"  # its lines are JSON


class Lines(logging.Formatter):
    """A request's line is its JSON object alone, so that `grep '^{' | jq` reads it."""

    def __init__(self) -> None:
        super().__init__(FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        if record.name != REQUESTS:
            return super().format(record)
        return f'{{"time": "{self.formatTime(record)}", {record.getMessage()[1:]}'


def set_up(level: str) -> None:
    """Ours from `level` (`info`) on, other libraries' from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(OURS).setLevel(level.upper())
