"""How the log looks: lines for people on stderr, and at debug one JSON object for each request."""

import logging
import sys

LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"
PROJECT_LOGGER = "clip_vectorizer"
REQUEST_LOGGER = "clip_vectorizer.server.middleware"  # its lines are JSON


class LogFormatter(logging.Formatter):
    """A request's line is its JSON object alone, so that `grep '^{' | jq` reads it."""

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        if record.name != REQUEST_LOGGER:
            return super().format(record)
        return f'{{"time": "{self.formatTime(record)}", {record.getMessage()[1:]}'


def configure_logging(level: str) -> None:
    """Ours from `level` (`info`) on, other libraries' from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger(PROJECT_LOGGER).setLevel(level.upper())
