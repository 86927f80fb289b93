"""Makes `examples/polysemy`: drawings for words with two meanings, which a bare word does not distinguish.

    python examples/make_polysemy.py WORK_FOLDER

WORK_FOLDER holds (or gets) the npm packages. Two art sets that the bundled model never saw: OpenMoji (CC BY-SA 4.0) and
Emojitwo (CC BY 4.0). Each folder is a meaning: a word, and which one. Emoji have not got everything: a flamingo
stands in for the crane that wades, any dog for the boxer, a game controller for the remote control.
"""

import sys
from pathlib import Path

from PIL import Image

from clip_vectorizer.training.drawings import build_svg, fetch_package, rasterise, read_json

SIZE = 96  # pixels
PACKAGES = {"openmoji": "@iconify-json/openmoji@1.2.29", "emojione": "@iconify-json/emojione@1.2.3"}
MEANINGS = {  # folder -> icons
    "bat (animal)": ("bat",),
    "bat (game)": ("cricket-game", "ping-pong"),
    "bow (ribbon)": ("ribbon",),
    "bow (weapon)": ("bow-and-arrow",),
    "boxer (dog)": ("dog", "dog-face"),
    "boxer (fighter)": ("boxing-glove",),
    "crane (bird)": ("flamingo",),
    "crane (machine)": ("building-construction",),
    "glasses (drinks)": ("clinking-glasses", "clinking-beer-mugs"),
    "glasses (eyes)": ("glasses", "sunglasses"),
    "keyboard (computer)": ("keyboard",),
    "keyboard (music)": ("musical-keyboard",),
    "mouse (animal)": ("mouse", "mouse-face"),
    "mouse (computer)": ("computer-mouse", "mouse-scroll"),
    "nut (food)": ("chestnut", "peanuts"),
    "nut (tool)": ("nut-and-bolt",),
    "palm (hand)": ("raised-hand", "hand-with-fingers-splayed", "palms-up-together"),
    "palm (tree)": ("palm-tree",),
    "remote (device)": ("joystick", "video-game"),
    "remote (place)": ("desert-island",),
}


def make_polysemy(work: Path, target: Path) -> None:
    for art, package in PACKAGES.items():
        folder = work / art
        if not (folder / "package.json").exists():
            fetch_package(package, folder)
        icons = read_json(folder / "icons.json")
        for meaning, names in MEANINGS.items():
            for name in names:
                if name in icons["icons"]:  # not every set has drawn everything
                    (target / meaning).mkdir(parents=True, exist_ok=True)
                    picture = Image.fromarray(rasterise(build_svg(icons, name, "drawn"), SIZE), "RGBA")
                    picture.save(target / meaning / f"{name}-{art}.png", optimize=True)


if __name__ == "__main__":
    make_polysemy(Path(sys.argv[1]), Path(__file__).parent / "polysemy")
