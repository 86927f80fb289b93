"""Pages of PDF files as grey pictures, to learn from. One thread at a time: PDFium is not thread-safe."""

from PIL import Image

from clip_vectorizer.images.pdf_files import OpenDocument

DRAWN_SIDE = 1200  # pixels of the longer side: an A4 page at about 100 dots per inch


def draw_grey_page(pdf: OpenDocument, number: int) -> Image.Image:
    """Draw page `number`, from 1: upright, on white, with annotations; RGB. Raises InputError."""
    with pdf.open_page(number) as page:
        bitmap = page.render(scale=DRAWN_SIDE / max(page.get_size()), grayscale=True)
        picture: Image.Image = bitmap.to_pil().convert("RGB")
        bitmap.close()
    return picture
