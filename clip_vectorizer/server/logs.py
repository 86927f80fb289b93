"""The format of the log: plain lines on stderr, and at level debug one JSON object for each request."""

import logging
import sys

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
PROJECT_LOGGER = "clip_vectorizer"
REQUEST_LOGGER = "clip_vectorizer.server.middleware"  # its lines are JSON


class LogFormatter(logging.Formatter):
    """The line of a request is its JSON object alone, so that `grep '^{' | jq` can read it."""

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        if record.name != REQUEST_LOGGER:
            return super().format(record)
        return f'{{"time": "{self.formatTime(record)}", {record.getMessage()[1:]}'


def configure_logging(level: str) -> None:
    """Log this project from `level` (`info`) on, and other libraries from warnings on. For entry points only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(PROJECT_LOGGER).setLevel(level.upper())
