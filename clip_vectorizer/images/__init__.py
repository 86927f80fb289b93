"""Images: any file that a viewer opens, to upright sRGB pixels. `opener.decode_image` is the way in."""

# Increment it with every change of the pixels that a file gives: vectors of two versions must not mix.
PIXELS_VERSION = 3
