"""The documented ways of training: each line runs as the page has it, and its model is served."""

import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from clip_vectorizer.cli import main
from clip_vectorizer.models.catalog import ModelName, load_encoder
from clip_vectorizer.models.devices import Placement
from clip_vectorizer.query.adapt.probe_file import TrainedProbe
from tests.documents import REPOSITORY, page

PROBE = Path("kinds.npz")
COMMANDS = page("docs/train.md").commands("clip-vectorizer")
EXAMPLES = REPOSITORY / "examples"
OF_EACH_LABEL = 6  # enough for a batch of the default size


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with some examples of each label and a table of the fruit."""
    for folder in filter(Path.is_dir, (EXAMPLES / "images").iterdir()):
        some = tmp_path / "examples" / "images" / folder.name
        some.mkdir(parents=True)
        for file in sorted(folder.glob("*.png"))[:OF_EACH_LABEL]:
            (some / file.name).symlink_to(file)
            (some / file.name).with_suffix(".txt").symlink_to(file.with_suffix(".txt"))
    files = sorted(EXAMPLES.glob("images/fruit/*.png"))
    rows = [f'{file},"{file.with_suffix(".txt").read_text("utf-8").strip()}"' for file in files]
    (tmp_path / "captions.csv").write_text("\n".join(["path,caption", *rows]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("line", COMMANDS)
def test_a_line_of_the_page_trains_what_it_says(line: str, home: Path) -> None:
    _, group, name, *words = shlex.split(line)
    train = main.commands[group]
    assert isinstance(train, click.Group)
    done = CliRunner().invoke(train.commands[name], words)
    assert done.exit_code == 0, done.output
    if name == "linear-probe":
        assert (
            done.stdout.startswith("kinds.npz: 17 labels, accuracy 0.") and len(TrainedProbe.load(PROBE).labels) == 17
        )
        return
    model = done.stdout.strip()
    assert model == f"local-dir:{home / words[words.index('--output') + 1]}"
    encoder = load_encoder(ModelName(model), Placement())
    assert encoder.encode_texts([encoder.prepare_text("苹果")]).shape == (1, encoder.info.dimension)
