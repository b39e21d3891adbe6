"""Models of every format that was written can be read, say what they said then, and go on."""

import shutil
from pathlib import Path

import pytest

from rnncli.storage.record import FORMAT_VERSION
from tests.cli.conftest import Command
from tests.conftest import signed

GOLDEN = Path(__file__).parent.parent / "golden"
# Nats of the validation split, and the text generated at temperature 0. Its network has every kind of block.
SAID = {"format-1": (66.927794, "a learned,\na learned,\na learned,\na learn")}


@pytest.fixture(params=sorted(path.name for path in GOLDEN.iterdir()))
def golden(request: pytest.FixtureRequest, own_folder: Path) -> str:
    """A model as the rnncli of its time left it, in the working folder."""
    shutil.copytree(GOLDEN / request.param, own_folder / "models" / request.param)
    return str(request.param)


def test_it_says_what_it_said(rnncli: Command, golden: str) -> None:
    nats, text = SAID[golden]
    assert rnncli("eval", "-m", golden, "--json").json["nll_nats"] == pytest.approx(nats, rel=1e-6)
    assert rnncli("generate", "-m", golden, "--temperature", "0", "--length", "40").out == text


def test_it_goes_on_and_becomes_one_of_this_format(rnncli: Command, golden: str) -> None:
    ran = rnncli("train", "--resume", golden, "--steps", "+10")
    assert ran.code == 0, ran.err
    assert "goes on from step 150" in ran.err
    assert rnncli("verify", golden).code == 0
    assert rnncli("info", golden, "--json").json["format_version"] == FORMAT_VERSION


def test_a_newer_format_is_refused_in_one_line(rnncli: Command, golden: str) -> None:
    config = Path("models", golden, "config.json")
    version = golden.removeprefix("format-")
    config.write_text(config.read_text().replace(f'"format_version": {version}', '"format_version": 99'))
    signed(config.parent)
    ran = rnncli("eval", "-m", golden)
    assert ran.code == 1
    assert "has format 99; this rnncli" in ran.err
    assert ran.err.count("error: ") == 1
