import io

from PIL import Image

from clip_vectorizer.query.display.frames import COLOUR, EDGE, draw_frames, render_frames
from clip_vectorizer.query.display.thumbnails import DrawingMethod, draw_thumbnail

FRAME = (213, 94, 0)
BOX = (0.25, 0.5, 0.75, 1.0)


def test_a_frame_is_drawn_inside_its_box_and_the_picture_given_stays() -> None:
    picture = Image.new("RGB", (40, 20), "black")
    framed = draw_frames(picture, [BOX])
    assert framed.getpixel((10, 10)) == framed.getpixel((29, 19)) == FRAME
    assert framed.getpixel((9, 10)) == framed.getpixel((30, 19)) == framed.getpixel((20, 15)) == (0, 0, 0)
    assert picture.getpixel((10, 10)) == (0, 0, 0)


def test_the_first_frame_is_on_top() -> None:
    framed = draw_frames(Image.new("RGB", (8, 8)), [(0, 0, 1, 1), (0, 0, 0.75, 1)])
    assert framed.getpixel((0, 0)) == FRAME and framed.getpixel((7, 7)) == FRAME


def test_a_box_of_less_than_a_pixel_has_a_frame_of_one() -> None:
    framed = draw_frames(Image.new("RGB", (4, 4)), [(0.999, 0.999, 1.0, 1.0)], line=1)
    assert framed.getpixel((3, 3)) == FRAME and framed.getpixel((2, 2)) == (0, 0, 0)


def test_the_svg_has_the_picture_s_pixels_as_its_units_and_the_best_frame_last() -> None:
    svg = render_frames([BOX, (0, 0, 1, 1)], (40, 20))
    assert 'viewBox="0 0 40 20"' in svg and 'x="10" y="10" width="20" height="10"' in svg
    assert svg.index('class="line other"') < svg.index('class="line best"')
    assert COLOUR.startswith("#") and EDGE == "#ffffff"


def test_a_terminal_shows_the_frame_in_blocks() -> None:
    file = io.BytesIO()
    Image.new("RGB", (48, 48), "white").save(file, "PNG")
    plain, framed = (draw_thumbnail(file.getvalue(), DrawingMethod.BLOCKS, boxes) for boxes in ([], [BOX]))
    assert "213,94,0" not in str(plain.spans).replace("rgb(", "")  # type: ignore[union-attr]  # blocks are a Text
    colours = {str(span.style) for span in framed.spans}  # type: ignore[union-attr]
    assert any("#d55e00" in each for each in colours)


def test_a_terminal_that_draws_images_gets_the_frame_in_their_pixels() -> None:
    file = io.BytesIO()
    Image.new("RGB", (48, 48), "white").save(file, "PNG")
    for method in (DrawingMethod.ITERM, DrawingMethod.KITTY):
        plain, framed = (draw_thumbnail(file.getvalue(), method, boxes) for boxes in ([], [BOX]))
        assert plain.sequence != framed.sequence  # type: ignore[union-attr]  # an InlineImage
