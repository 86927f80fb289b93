"""Choices and defaults of an ingest that the command and the pipeline share. Imports no library: `--help` reads it."""

import os
from enum import StrEnum

MAX_HASH_DISTANCE = 15  # beyond it the bands are so short that everything would be compared with everything
DPI = 150  # of PDF pages
WORKERS = min(8, os.cpu_count() or 1)  # threads that read and decode
# Options that need a single process, which Ray cannot distribute, and the attribute of an IngestJob that each sets.
SINGLE_PROCESS_OPTIONS = {
    "--watch": "watch",
    "--prune": "prune",
    "--limit": "settings.selection.limit",
    "--dry-run": "dry_run",
    "--regions": "regions",
}
REGION_LIMIT, MAX_REGIONS = 10, 100  # regions an image: of a method that finds them; at all
MAX_FILE_BYTES = 70_000_000  # of an image: Weaviate's gRPC takes 104,858,000 bytes a message, and base64 adds a third
PATIENCE_SECONDS = 300.0  # a database that restarts, a sidecar that loads another model


class Fit(StrEnum):
    """What happens to the long side, which does not fit the model's square input."""

    CROP = "crop"  # the model's own way: most models cut off both ends
    PAD = "pad"  # white is added on the short side, so that the whole page is visible


class Keep(StrEnum):
    """What the database stores of an image, in addition to its vector and properties."""

    FULL = "full"  # the file and a thumbnail
    THUMBNAIL = "thumbnail"
    HASH = "hash"  # no picture
    NONE = "none"  # no picture and no hash: equal files are not recognised, only equal stamps
