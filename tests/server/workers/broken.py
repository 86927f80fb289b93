"""A sidecar whose fronts die as soon as there is a model: `python -m tests.server.workers.broken`."""

import logging
import os
import sys

from clip_vectorizer.server.serve import serve
from clip_vectorizer.server.settings import parse_settings
from tests.fakes import HashEncoder, HashPreparer


class Fatal(HashPreparer):
    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (7,)


class FatalEncoder(HashEncoder):
    @property
    def preparer(self) -> HashPreparer:
        return Fatal()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    serve(parse_settings(os.environ), lambda: [FatalEncoder()])
