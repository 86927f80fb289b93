"""Names and defaults that the commands and the library share. Imports nothing: `--help` reads this module."""

IMAGES, LABELS, MATMUL, AUTO = "images", "labels", "matmul", "auto"
STRATEGIES = (AUTO, IMAGES, LABELS, MATMUL)  # of a classification: where similarities are computed
DEFAULT_SHOTS = 16  # as in the papers; more improve it further
# The keys of `prompts.PROMPTS`
PROMPT_SETS = (
    *("word", "photo", "photo-7", "photo-80", "drawing", "drawing-7", "page-6"),
    *("zh-photo", "zh-photo-7", "zh-photo-80", "zh-drawing", "zh-drawing-7"),
)
PROBE_SUFFIX = ".npz"  # of a linear probe in a file, where the name of a property is possible too
FORCE = 0.5  # of a move towards a text or away from it
CONSISTENCY_LEVELS = ("ONE", "QUORUM", "ALL")
PROPERTY_MARK = "property:"  # before the name of a property whose values are searched for similar strings
MIN_VECTORS = 100  # with fewer an index's recall says nothing
COUNTING, PLACES, LOOK_ALIKES, WORDING, DIGITS = "counting", "places", "look-alikes", "wording", "digits"
LIMIT_TASKS = (COUNTING, PLACES, LOOK_ALIKES, WORDING, DIGITS)  # of `clip-eval limits`
LIMIT_LANGUAGES = ("en", "zh")
CAPTION_LABELS, CAPTION_NEIGHBOURS, CAPTION_REGIONS, CAPTION_MODEL = "labels", "neighbours", "regions", "model"
CAPTION_LEAST = 0.3  # probability of a thing in a region: benchmarks/captions.py
CAPTION_WAYS = (CAPTION_LABELS, CAPTION_NEIGHBOURS, CAPTION_REGIONS, CAPTION_MODEL)
MAX_DRAWINGS = 400  # of a folder: more narrow the intervals by little
GROUND_THRESHOLD, GROUND_NMS, GROUND_TOP = 0.5, 0.5, 10  # least probability, most overlap, most boxes of a phrase
CORNER_MARK = "corner"  # of --regions corner:bottom-right
ALL_REGIONS = "all"  # --regions alone
