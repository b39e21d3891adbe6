"""Files that are flipped, cut, zeroed, swapped or gone: all is noticed, and work goes on where it can."""

import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from rnncli.errors import CorpusError, ModelError
from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import ended, forked

Damage = Callable[[random.Random, Path, list[Path]], None]


def flip(rng: random.Random, file: Path, others: list[Path]) -> None:
    content = bytearray(file.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)


def cut(rng: random.Random, file: Path, others: list[Path]) -> None:
    file.write_bytes(file.read_bytes()[: rng.randrange(file.stat().st_size)])


def zero_the_tail(rng: random.Random, file: Path, others: list[Path]) -> None:
    content = file.read_bytes()
    place = rng.randrange(len(content))
    file.write_bytes(content[:place] + bytes(len(content) - place))


def remove(rng: random.Random, file: Path, others: list[Path]) -> None:
    file.unlink()


def swap(rng: random.Random, file: Path, others: list[Path]) -> None:
    other = rng.choice([one for one in others if one.read_bytes() != file.read_bytes()])
    content = file.read_bytes()
    file.write_bytes(other.read_bytes())
    other.write_bytes(content)


DAMAGES: list[Damage] = [flip, cut, zero_the_tail, remove, swap]


def test_every_damage_is_noticed_and_named(
    model: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    rng, noticed = random.Random(0), Counter[str]()
    shutil.copytree(model, "sound")
    for _ in range(effort(150, 500)):
        shutil.rmtree(model)
        shutil.copytree("sound", model)
        files = [path for path in sorted(model.rglob("*")) if path.is_file() and path.name != "lock"]
        file, damage = rng.choice(files), rng.choice(DAMAGES)
        before = file.read_bytes()
        damage(rng, file, files)
        if file.exists() and file.read_bytes() == before:
            continue  # a tail of zeros was one before
        try:
            mismatches = ModelDir(model).mismatches()
            named = str(file)
        except ModelError as error:  # it was the manifest itself, or what was swapped with it
            mismatches, named = [str(error)], "manifest.json"
        assert any(named in sentence for sentence in mismatches), (file, damage.__name__, mismatches)
        noticed[damage.__name__] += 1
        # And by whoever reads that file, before any of it is believed.
        if "corpus.tok" in file.parts:
            with pytest.raises((ModelError, CorpusError)):
                ModelDir(model).corpus()
        elif file.name in ("config.json", "tokenizer.json", "model.safetensors", "ngram.safetensors"):
            with pytest.raises(ModelError):
                read_all(ModelDir(model))
    figure(f"{noticed.total()} damages, all noticed: {dict(noticed)}")


def read_all(folder: ModelDir) -> None:
    folder.record()
    folder.tokenizer()
    folder.require_weights()
    folder.ngram()


def test_the_command_names_what_is_wrong(model: Path) -> None:
    assert ended(forked("verify", "x")) == 0
    assert Path("output").read_text().endswith("every file of models/x matches its manifest\n")
    with (model / "README.md").open("a") as card:
        card.write("better than it is")
    assert ended(forked("verify", "x")) == 1
    assert "models/x/README.md does not match its checksum" in Path("output").read_text()


@pytest.mark.parametrize("damage", DAMAGES[:-1], ids=lambda damage: damage.__name__)
def test_a_resume_goes_back_to_the_newest_good_checkpoint_and_says_so(model: Path, damage: Damage) -> None:
    damage(random.Random(1), model / "checkpoints/step-20.safetensors", [])
    assert ended(forked("train", "--resume", "x", "--steps", "30")) == 0, Path("output").read_text()
    said = Path("output").read_text()
    problem = "is missing" if damage is remove else "does not match its checksum"
    assert f"models/x/checkpoints/step-20.safetensors {problem}; going back to step 15" in said
    folder = ModelDir(model)
    assert folder.mismatches() == []
    assert folder.record().step == 30
    assert folder.checkpoints()[-1] == 30


def test_without_any_good_checkpoint_there_is_one_clear_error(model: Path) -> None:
    for file in (model / "checkpoints").iterdir():
        file.write_bytes(b"")
    assert ended(forked("train", "--resume", "x", "--steps", "30")) == 1
    said = Path("output").read_text()
    assert said.count("error: ") == 1
    assert "step-20.safetensors does not match its checksum" in said
