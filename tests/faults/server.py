"""A sidecar process whose encoder misbehaves on demand: `python -m tests.faults.server LOG [BUSY_SECONDS]`.

Everything but the encoder is what `clip-vectorizer serve` runs, set by the same environment.
"""

import logging
import os
import sys
from pathlib import Path

from clip_vectorizer.server.serve import serve  # noqa: TID251 - runs the sidecar itself
from clip_vectorizer.server.settings import parse_settings  # noqa: TID251
from tests.faults.encoders import FaultyEncoder


def main(log: str, busy_seconds: str = "0") -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    encoder = FaultyEncoder(Path(log), float(busy_seconds))
    serve(parse_settings(os.environ), lambda: [encoder])


if __name__ == "__main__":
    main(*sys.argv[1:])
