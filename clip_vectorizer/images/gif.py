"""GIF files whose first frame is smaller than their screen."""

from PIL import GifImagePlugin, Image


def clear_surroundings(image: Image.Image) -> Image.Image:
    """A GIF with a transparent surrounding where its frame leaves some of the screen; any other image as it is.

    Pillow paints the background colour there, which no browser does.
    """
    if not isinstance(image, GifImagePlugin.GifImageFile) or not (extent := image.dispose_extent):
        return image
    if extent == (0, 0, *image.size):
        return image
    image.load()
    screen = Image.new("RGBA", image.size, (255, 255, 255, 0))
    screen.paste(image.crop(extent).convert("RGBA"), extent)
    return screen
