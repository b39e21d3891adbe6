"""Hostile strings through every command on a terminal: they are shown as they read, and none is obeyed."""

import io
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.text import Text

from rnncli.cli.app import app
from rnncli.console.terminal_plots import heat_style
from rnncli.errors import ModelError
from rnncli.storage.manifest import FileEntry, Manifest
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.safetensors_file import serialize_arrays
from tests.faults.conftest import TEXT
from tests.faults.terminal import (
    LIVE,
    SEQUENCE,
    UNDECODABLE,
    Campaign,
    as_name,
    as_toml,
    as_word,
    at_a_terminal,
    hostile_strings,
    together,
)
from tests.faults.terminal_commands import (
    FILES,
    LEVELS,
    LINES,
    NAMES,
    PARTS_OF_LINES,
    PROMPTS,
    REPORTS,
    RESUME,
    STRANGE,
    TRAINED,
    UNNAMED_NAMES,
    UNNAMED_STRANGE,
    UNNAMED_VALUES,
    VALUES,
    commands,
    filled,
)


class Home(NamedTuple):
    """A folder with a text and a model of it, and the escape sequences that commands there send."""

    folder: Path
    own: set[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """What every command sends of itself is learned from a text that has nothing to obey."""
    # What is imported when it is first needed: not in every process anew.
    with suppress(ModelError):
        app(["verify", "nothing"])
    folder, own = tmp_path_factory.mktemp("home"), set[str]()
    (folder / "text.txt").write_text(TEXT)
    (folder / "list.txt").write_text("a-1 the rain\na-2 a lamp\n")
    (folder / "costs.txt").write_text("a-1 1\na-2 2\n")
    (folder / "said.txt").write_text("a x\n")
    learned = commands("""
train text.txt --name c --ngram 2 {tiny}
tokenize text.txt --report -o t.tok|eval --by line|eval text.txt -m c -m c|eval text.txt --chunks 2
score text.txt --top 3|rescore list.txt|complete the|memorized text.txt|info --gradients|ngram c --order 2
verify|verify nothing|info --no-such -x|info c d|generate --help
plot c c|plot --figure embeddings|plot --figure neurons|plot --figure context-ablation
""")
    for shown in at_a_terminal(folder, [filled(command) for command in learned]):
        own.update(SEQUENCE.findall(shown))
    for shown in at_a_terminal(folder, [("generate", "-i", "-l", "9")], typed=("the", "/quit")):
        own.update(SEQUENCE.findall(shown))
    own.update(SEQUENCE.findall(drawn()))
    assert not any(sequence in live for sequence in own for live in LIVE), "nobody could tell them apart"
    return Home(folder, own)


def drawn() -> str:
    """Every stage of a bar and every colour of a unit: commands show some of them, as it happens."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=20)
    with console.capture() as captured:
        for completed in (0, 50, 100):
            console.print(ProgressBar(completed=completed))
        console.print(ProgressBar(pulse=True))
        for activation in np.linspace(-1.0, 1.0, 101).tolist():
            console.print(Text("x", style=heat_style(activation)))
    return captured.get()


def test_values_are_shown_and_not_obeyed(
    home: Home, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    strings, campaign = hostile_strings(effort(300, 10_000)), Campaign(home.own)
    for texts in together(strings):
        said = texts.replace("\0", "") + UNDECODABLE
        named = [filled(value, said) for value in VALUES]
        campaign.run(home.folder, said, named, [filled(value, said) for value in UNNAMED_VALUES])
        option = said.replace("=", "")  # where the name of an option ends
        campaign.run(home.folder, option, [(f"--{option}",), ("score", f"--{option}")])
        campaign.run(home.folder, said, [("info",), ("eval",)], RNNCLI_MODEL=said)
        campaign.run(home.folder, said, [("generate",)], RNNCLI_GENERATE_FORMAT=said)
    campaign.end(len(strings), figure)


def test_what_files_say_is_shown_and_not_obeyed(
    home: Home, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    strings, campaign = hostile_strings(effort(300, 10_000)), Campaign(home.own)
    for said in together(strings):
        marks = {"{}": said, "{toml}": as_toml(said), "{word}": as_word(said)}
        named, unnamed = list[list[str]](), list[list[str]]()
        for number, (content, command, is_named) in enumerate(FILES):
            file = home.folder / f"file{number}"
            for mark, value in marks.items():
                content = content.replace(mark, value)
            file.write_bytes(content.encode())
            (named if is_named else unnamed).append(filled(command, file=file.name))
        campaign.run(home.folder, said, named, unnamed)
    campaign.end(len(strings), figure)


def test_what_strangers_write_into_a_model_is_shown_and_not_obeyed(
    home: Home, own_folder: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    strings, campaign = hostile_strings(effort(300, 10_000)), Campaign(home.own)
    parameters = ModelDir(home.folder / "models/c").record().model.parameters
    for said in together(strings):
        weights = serialize_arrays({f"A{said}": np.zeros(parameters, np.float32)}, {"step": 1})
        changes: list[tuple[Callable[[Path], object], str, bool]] = [
            (partial(overwrite, "model.safetensors", weights), "info {m}", True),
            (partial(overwrite, "model.safetensors", of_type(said)), "info {m}", True),
            (partial(overwrite, "checkpoints/step-2.safetensors", weights), RESUME, False),
            (Manifest({said: (FileEntry(1, said),)}).write, "verify {m}", False),
        ]
        for row in (*STRANGE, *UNNAMED_STRANGE):
            name, place, command = row.split(" ", 2)
            changes.append((partial(rewrite, name, place, said), command, row in STRANGE))
        for report in (
            {"event": "evaluated", "step": said, "score": {"nll_nats": said, "tokens": 1}},
            {"event": "evaluated", "step": 1, "score": said},
            {"event": said, said: said},
        ):
            metrics = partial(overwrite, "metrics.jsonl", json.dumps(report).encode())
            changes += [(metrics, command, False) for command in ("info {m}", RESUME)]
        named, unnamed = list[list[str]](), list[list[str]]()
        for number, (change, command, is_named) in enumerate(changes):
            folder = own_folder / f"m{number}"
            shutil.copytree(home.folder / "models/c", folder)
            change(folder)
            (named if is_named else unnamed).append(filled(command, m=folder.name))
        campaign.run(own_folder, said, named, unnamed)
        for folder in own_folder.iterdir():
            shutil.rmtree(folder)
    campaign.end(len(strings), figure)


def rewrite(name: str, place: str, said: str, folder: Path) -> None:
    """Put what is said into a file of a model, by its keys or as one of them."""
    record = inner = json.loads((folder / name).read_bytes())
    *outer, last = place.split("/")
    for key in outer:
        inner = inner[int(key) if key.isdigit() else key]
    inner[last.replace("{}", said)] = said
    overwrite(name, json.dumps(record).encode(), folder)


def overwrite(name: str, content: bytes, folder: Path) -> None:
    (folder / name).write_bytes(content)
    Manifest.of(folder).write(folder)


def of_type(said: str) -> bytes:
    """Weights of a type that is none."""
    tensor = {"dtype": said, "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"a": tensor, "__metadata__": {"rnncli": "{}"}}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(4)


def test_names_are_shown_and_not_obeyed(
    home: Home, own_folder: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    strings, campaign = hostile_strings(effort(300, 10_000)), Campaign(home.own)
    for first in range(effort(1, 10)):
        name = as_name(" ".join(strings[first * 5 :][:5]))
        folder = own_folder / f"of {name}"
        shutil.copytree(home.folder, folder)
        text, model, undecodable = f"{name}{UNDECODABLE}", f"{name}.m", f"{name}.m{UNDECODABLE}"
        for end, content in (("", TEXT.encode()), (".bin", b"\xff" * 99), (".empty", b"")):
            (folder / f"{text}{end}").write_bytes(content)
        for copy in (f"models/{model}", undecodable):
            shutil.copytree(home.folder / "models/c", folder / copy)
        marks = {"m": model, "u": undecodable}
        named = [filled(command, text, **marks) for command in NAMES]
        unnamed = [filled(command, text, **marks) for command in UNNAMED_NAMES]
        campaign.run(folder, name, named, unnamed)
        (folder / text).write_text("another text")
        campaign.run(folder, name, [("train", "--resume", "b", "--steps", "+1", "--progress", "plain")])
    names, many = list(dict.fromkeys(map(as_name, strings))), own_folder / "many"
    many.mkdir()
    for name in names:
        (many / name).write_text("the rain\n")
    scored = ("score", "many", "--format", "srilm")
    campaign.run(own_folder, " ".join(names), [scored], RNNCLI_MODEL=str(home.folder / "models/c"))
    campaign.end(len(names), figure)


def test_lines_are_shown_and_not_obeyed(
    home: Home, own_folder: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    strings, campaign = hostile_strings(effort(300, 10_000)), Campaign(home.own)
    said = " ".join(strings)
    words = [f"{as_word(line)}{number}" for number, line in enumerate(strings)]
    pairs = [{"sentence_good": line, "sentence_bad": line[::-1]} for line in strings]
    for name, lines in (
        ("text", strings),
        ("lists", [f"{word}-1 {line}" for word, line in zip(words, strings, strict=True)]),
        ("said", [f"{word} {line}" for word, line in zip(words, strings, strict=True)]),
        ("pairs", map(json.dumps, pairs)),
    ):
        Path(name).write_bytes("".join(line + "\n" for line in lines).encode())
    reports = [filled(command) for command in REPORTS]
    campaign.run(own_folder, said, [], reports)
    for place, level in enumerate(LEVELS[: effort(2, 4)]):
        campaign.run(own_folder, said, [], [filled(TRAINED[place % 2], level)])
        size = ModelDir(Path("models", level)).record().model.vocab_size
        Path("ids").write_text(" ".join(map(str, range(size))))
        named = [filled(command, level) for command in LINES[place % 2 :: 2]]
        unnamed = [filled(command, level) for command in PARTS_OF_LINES[place % 2 :: 2]]
        campaign.run(own_folder, said, named, unnamed, RNNCLI_MODEL=level)
    turns = ("the", "/again", "/temp [bold]", "/quit")
    conversation = ("generate", "-i", "-l", "300", "-m", "word")
    campaign.run(own_folder, "[bold]", [conversation], typed=turns)
    campaign.end(len(strings), figure)


def test_prompts_are_shown_and_not_obeyed(
    home: Home, own_folder: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    strings, campaign = hostile_strings(effort(300, 10_000)), Campaign(home.own)
    prompt = own_folder / "prompt"
    for said in together(strings):
        given = said.replace("\0", "")
        named = [filled(command, given) for command in PROMPTS]
        campaign.run(home.folder, given, named, [("complete", given)])
        prompt.write_bytes(said.encode())
        for command in (("generate", "--prompt", "-", "-l", "9"), ("generate", "--prompt", "-", "-n", "2")):
            campaign.run(home.folder, said, [command], stdin=prompt)
        campaign.run(home.folder, said, [], [("complete", "-", "--to", "line", "-l", "9")], stdin=prompt)
    turns = (line if number % 3 else f"/temp {line}" for number, line in enumerate(strings))
    prompt.write_bytes("".join(line + "\n" for line in turns).encode())
    campaign.run(home.folder, " ".join(strings), [("generate", "-i", "-l", "3")], stdin=prompt)
    campaign.end(len(strings), figure)
