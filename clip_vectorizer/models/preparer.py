"""What a torch model's inputs are made with: no weights, so it can be pickled and sent to another process."""

from dataclasses import dataclass

from PIL import Image

from clip_vectorizer.models.encoder import ModelInfo, PreparedText
from clip_vectorizer.models.preprocess import PixelRecipe, prepare
from clip_vectorizer.models.tokens import TextReader
from clip_vectorizer.vectors import Box, Pixels


@dataclass(frozen=True, slots=True)
class TorchPreparer:
    reader: TextReader
    recipe: PixelRecipe
    info: ModelInfo

    def prepare_text(self, text: str) -> PreparedText:
        return self.reader(text)

    def prepare_image(self, image: Image.Image, box: Box | None = None) -> Pixels:
        return prepare(image, self.recipe, box)
