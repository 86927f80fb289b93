"""Prompt templates for the names of concepts, by language."""

TEMPLATES = {
    "en": (
        "a drawing of {}",
        "an emoji of {}",
        "{} emoji",
        "a picture of {}",
        "an icon of {}",
        "a photo of {}",
        "a {}",
        "the {}",
    ),
    "zh": ("{}的图画", "{}的表情符号", "一张{}的图片", "{}图标", "一个{}", "{}的照片"),
}
