"""Makes `examples/chinese`: the pictures of the program `examples/chinese.py`, from OpenMoji (CC BY-SA 4.0).

    python examples/make_chinese.py WORK_FOLDER

WORK_FOLDER holds (or gets) the npm package. The bundled model never saw this art set.
"""

import sys
from pathlib import Path

from PIL import Image

from clip_vectorizer.training.drawings import build_svg, fetch_package, rasterise, read_json

SIZE = 96  # pixels
PACKAGE = "@iconify-json/openmoji@1.2.29"
NAMES = ("pig", "tiger")


def make_chinese(work: Path, target: Path) -> None:
    folder = work / "openmoji"
    if not (folder / "package.json").exists():
        fetch_package(PACKAGE, folder)
    icons = read_json(folder / "icons.json")
    for name in NAMES:
        picture = Image.fromarray(rasterise(build_svg(icons, name, "drawn"), SIZE), "RGBA")
        picture.save(target / f"{name}.png", optimize=True)


if __name__ == "__main__":
    make_chinese(Path(sys.argv[1]), Path(__file__).parent / "chinese")
