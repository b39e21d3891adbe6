"""Hostile strings through every command on a terminal: they are shown as they read, and none is obeyed."""

import io
import json
import os
import random
import re
import shutil
import string
import sys
import termios
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from rich.console import Console
from rich.progress_bar import ProgressBar

from rnncli.__main__ import main
from rnncli.cli.app import app
from rnncli.errors import ModelError
from rnncli.storage.array_file import packed
from rnncli.storage.manifest import Entry, Manifest
from rnncli.storage.model_dir import ModelDir
from rnncli.training import loop
from tests.faults.conftest import SHAPE, TEXT, ended

# Half a character, the last, is what does not decode. Of ESC the sequences that rnncli sends itself are none.
FOREIGN = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# So wide that hardly any markup is cut in two by the end of a line.
ROWS, COLUMNS = 50, 20_000
ENVIRONMENT = {"LANG": "C.UTF-8", "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(ROWS)}
# After everything that a command has written.
MARK = b"<that was all>\r\n"
TINY = f"--steps 2 {' '.join(SHAPE)}"
# So many strings stand together in one argument; it may have 128 kB.
TOGETHER = 2500

WORDS = ("the", "rain", "lamp", "is", "Straße", "雨", "下雨了", "学而时习之", "\N{GRINNING FACE}", "a\u200db")
MARKUP = (
    *("[bold]", "[red]x[/red]", "[/]", "[/nope]", "[reverse", "[link=x:y]z[/link]", "[@click=f]z[/]"),
    *(":smiley:", ":warning:", "[#ff0000]"),
)
LIVE = (
    # CSI: colours, clearing, the cursor, the other screen, questions that a terminal answers by typing
    *("\x1b[95;44m", "\x1b[38;5;9m", "\x1b[8m", "\x1b[3J", "\x1b[7;7H", "\x1b[?1049h", "\x1b[6n", "\x1b[21t"),
    # OSC: the clipboard, a title, a link, notifications, a file; with either end
    *("\x1b]52;c;aGk=\x07", "\x1b]52;c;aGk=\x1b\\", "\x1b]0;title\x07", "\x1b]2;title\x1b\\"),
    *("\x1b]8;;x:y\x1b\\link\x1b]8;;\x1b\\", "\x1b]777;notify;a;b\x07", "\x1b]1337;File=inline=1:aGk=\x07"),
    # DCS, PM, APC, a reset, another alphabet, and an ESC that waits for what follows
    *("\x1bP$qm\x1b\\", "\x1bP+q544e\x1b\\", "\x1b^x\x1b\\", "\x1b_Gx\x1b\\", "\x1bc", "\x1b(0", "\x1b"),
    # the same without an ESC
    *("\x9b91m", "\x9d52;c;aGk=\x9c", "\x90$qm\x9c", "\x9b3J"),
    *(chr(point) for point in (*range(9), *range(11, 32), *range(0x7F, 0xA0))),
    *(chr(point) for point in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))),
    *("\b\b\brm", "x\rerror: no", "\x7f\x7f"),
)
LEVELS = ("word", "char", "subword", "byte")
UNDECODABLE = os.fsdecode(b"\x9b\xff")


def commands(named: str) -> list[str]:
    return named.strip().replace("{tiny}", TINY).replace("\n", "|").split("|")


# With a value that is named where it is wrong.
VALUES = commands("""
{}|info c {}|info {}|verify {}
tokenize {}|tokenize @{}|tokenize text.txt --encoding={}|tokenize text.txt --errors={}
tokenize text.txt --newlines={}|tokenize text.txt --level={}|tokenize text.txt --subword-kind={}
tokenize text.txt --tokenizer={}|tokenize text.txt --unit={}|tokenize text.txt --split={}
tokenize text.txt --valid={}|tokenize text.txt --config={}|tokenize text.txt -o {}/x
train {}|train text.txt --name={}|train --resume={}|train text.txt --from={}|train text.txt --cell={}
train text.txt --nonlinearity={}|train text.txt --precision={}|train text.txt --kernels={}
train text.txt --device={}|train text.txt --time={}|train text.txt --epochs={}|train text.txt --steps={}
train text.txt --progress={}|train text.txt --save-every={}
ngram {}|ngram c --from-arpa={}|ngram c --arpa={}/x|ngram c --device={}
eval {}|eval -m {}|eval text.txt -m c -m {}|eval --part={}|eval --by={}|eval --reset={}
score {}|score -m {}|score text.txt --format={}|score text.txt --unit={}|score text.txt --columns={}
score text.txt --base={}|score text.txt --html={}/x
rescore {}|rescore list.txt --weights={}|rescore list.txt --scores={}|rescore list.txt --format={}
rescore list.txt --dev={} --reference=list.txt|rescore list.txt --unit={}
generate -m {}|generate --format={}|generate --device={}
complete -m {}|complete --unit={}|complete --device={}|memorized {}|memorized -m {}
""")
# Of these it is said only that they are no numbers, or that they are settled; or they are cut.
UNNAMED_VALUES = commands("""
tokenize text.txt --workers={}|train text.txt --dropout={}|train t.tok --level={}|ngram c --order={}
eval --streams={}|score text.txt --top={}|generate --temperature={}|generate --template={{}
generate --match=({}|memorized --least={}
""")
# With the name of a text, of a model `.m`, and of what cannot be read.
NAMES = commands("""
tokenize {} --report -o {}.tok|tokenize {} --json -o {}.2|tokenize {} -o {}.tok
tokenize {} -o {}.tok --level word|tokenize {}.bin|tokenize {}.empty
train {} --name b --progress bar {tiny}|train {}.tok --name p --progress plain --json {tiny}
train --resume {m}|train --resume {m} --steps +1|train --resume {m} --steps +1 --progress plain
train --resume {u} --steps +1 --progress plain|train --resume {u} --steps +1 --progress none --json
eval {}|eval {}.bin|eval {} --json|eval {} -m {m} -m c|eval -m {m} --json
score {} --format srilm|score {}.bin|score {} --pairs|score {} -m {m} --top 1
memorized {}|memorized -m {m} -l 50|rescore {}|rescore list.txt -m {m}|generate --config {}
ngram c --from-arpa {}|ngram {m} --order 2 --json|generate -m {m} -l 9|complete -m {m} a
info {m}|info {m} --json|verify {m}|verify {m} --json|info nowhere
info {u}|eval -m {u}|ngram {u} --order 2 --json|verify {u} --json
""")
UNNAMED_NAMES = commands("""
score {}.empty|score {} --unit line --html {}.html|ngram c --arpa {}.arpa
tokenize {} --encode --tokenizer {m}
""")
# With a text of hostile lines: what is counted in it, and samples of what a model makes of it.
REPORTS = commands("tokenize text --report -o t.tok|tokenize text --report --json")
TRAINED = commands("""
train text --name {} --level {} --workers 1 --progress bar {tiny}
train text --name {} --level {} --workers 1 --progress plain {tiny}
""")
# With a text, n-best lists and pairs of hostile lines, which stand in the output as they are.
LINES = commands("""
score text --unit line|score text --format jsonl|score text --format srilm|score text --top 10000
score lists --format kaldi|rescore lists|rescore lists --all|rescore lists --format nbest
rescore lists --dev lists --reference said
""")
# Tokens, a part, a table that is cut, or what the model makes of them.
PARTS_OF_LINES = commands("""
eval text|eval text --by line|eval text --reset line --by position|eval --by frequency|eval --adapt --json
score text|score text --unit character|score text --unit word --columns rank,entropy,entropy-reduction,oov
score text --format minicons|score text --format neural-complexity|score text --format kenlm
score pairs --pairs|score lists --format nbest|generate -l 300 --temperature 3|generate --beam 3 -l 40
generate -n 9 -l 99 --temperature 3|generate -n 9 -l 99 --temperature 3 --format jsonl
generate --enumerate 3 -l 20|complete --unit token -n 50|complete --unit word|complete --unit line -l 20
memorized text|memorized -l 200|info --gradients|ngram --order 3|verify
tokenize text --encode --tokenizer {}|tokenize ids --decode --tokenizer {}
""")
PROMPTS = commands("""
generate --prompt={} -l 9|generate --prompt={} -l 9 -n 2 --format jsonl|generate --prompt={} --beam 2 -l 9
generate --prompt={} --match=a* -l 9
""")
# What a file says, the command that reads it, and whether what it says is named.
FILES = (
    ("{toml} = 1", "generate --config {file}", True),
    ("prompt = {toml}", "generate --config {file} --help", False),
    ("format = {toml}", "generate --config {file}", True),
    ("{}", "generate --config {file}", False),
    ("{word}", "tokenize @{file}", True),
    ("{}", "score {file} --pairs", False),
    ("{}", "eval {file}", False),
    ("0 {word}", "tokenize {file} --decode --tokenizer c", False),
    ("{word} x", "rescore {file}", True),
    ("{word}-1 x\n{word}-1 y", "rescore {file}", True),
    ("{word}-1 x", "rescore {file} --scores costs.txt", True),
    ("{word}-1 x", "rescore list.txt --dev {file} --reference said.txt", True),
    ("a-1 1\na-2 {}", "rescore list.txt --scores {file}", True),
    ("a x\n{word} x", "rescore list.txt --dev list.txt --reference {file}", True),
    ("\\data\\\n\\1-grams:\n{}\n", "ngram c --from-arpa {file}", False),
)
RESUME = "train --resume {m} --steps +1 --progress plain"
# What a stranger wrote into a model: a file, where in its JSON, and the command that names it.
STRANGE = commands(f"""
config.json corpus info {{m}}|config.json corpus info {{m}} --json|config.json level info {{m}}
config.json format_version info {{m}}|config.json {{}} info {{m}}|config.json model/{{}} info {{m}}
config.json training/{{}} info {{m}}
tokenizer.json level generate -m {{m}}|corpus.tok/store.json name eval -m {{m}}
corpus.tok/store.json name {RESUME}|corpus.tok/store.json sources/0/encoding {RESUME}
corpus.tok/store.json format_version eval -m {{m}}|corpus.tok/store.json reading/errors eval -m {{m}}
corpus.tok/store.json sources/0/{{}} eval -m {{m}}
""")
# A long value is cut short where it is named, or not named at all.
UNNAMED_STRANGE = commands("""
config.json status info {m}|config.json unit info {m}|config.json seconds info {m}
config.json model/cell info {m}|config.json model/members info {m}
config.json saved_at info {m}|config.json corpus_sha256 info {m}|config.json model/dropout info {m}
config.json stores eval -m {m}
""")


class Home(NamedTuple):
    """A folder with a text and a model of it, and the escape sequences that commands there send."""

    folder: Path
    own: set[str]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """What every command sends of itself is learned from a text that has nothing to obey."""
    # What is imported when it is first needed: not in every process anew.
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])
    with suppress(ModelError):
        app(["verify", "nothing"])
    folder, own = tmp_path_factory.mktemp("home"), set[str]()
    (folder / "text.txt").write_text(TEXT)
    (folder / "list.txt").write_text("a-1 the rain\na-2 a lamp\n")
    (folder / "costs.txt").write_text("a-1 1\na-2 2\n")
    (folder / "said.txt").write_text("a x\n")
    learned = commands("""
train text.txt --name c --ngram 2 {tiny}
tokenize text.txt --report -o t.tok|eval --by line|eval text.txt -m c -m c|eval text.txt --streams 2
score text.txt --top 3|rescore list.txt|complete the|memorized text.txt|info --gradients|ngram c --order 2
verify|verify nothing|info --no-such -x|info c d|generate --help
""")
    for shown in at_a_terminal(folder, [filled(command) for command in learned]):
        own.update(SEQUENCE.findall(shown))
    for shown in at_a_terminal(folder, [("generate", "-i", "-l", "9")], typed=("the", "/quit")):
        own.update(SEQUENCE.findall(shown))
    own.update(SEQUENCE.findall(bars()))
    assert not any(sequence in live for sequence in own for live in LIVE), "nobody could tell them apart"
    return Home(folder, own)


def bars() -> str:
    """Every stage of a bar on such a terminal: a short training shows some of them, as it happens."""
    console = Console(file=io.StringIO(), force_terminal=True, color_system="standard", width=20)
    with console.capture() as captured:
        for completed in (0, 50, 100):
            console.print(ProgressBar(completed=completed))
        console.print(ProgressBar(pulse=True))
    return captured.get()


def at_a_terminal(
    folder: Path,
    given: Sequence[Sequence[str]],
    typed: Sequence[str] = (),
    stdin: Path | None = None,
    **variables: str,
) -> Iterator[str]:
    """What each command writes to a terminal, one after another; a line is `typed` whenever one is asked for.

    They run in one process, which has imported everything already.
    """
    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (ROWS, COLUMNS))
    process = os.fork()
    if not process:
        try:
            os.close(ours)  # so that it hears when nobody looks on any more
            os.login_tty(theirs)
            if stdin is not None:
                os.dup2(os.open(stdin, os.O_RDONLY), 0)
            os.environ.clear()
            os.environ.update(ENVIRONMENT | variables)
            os.chdir(folder)
            run_each(given)
        finally:
            os._exit(0)
    os.close(theirs)
    shown, lines, number = bytearray(), list(typed), 0
    while True:
        try:
            read = os.read(ours, 65_536)
        except OSError:  # the other end is closed
            break
        shown += read
        if MARK in shown[-len(read) - len(MARK) :]:
            *whole, shown = shown.split(MARK)
            number += len(whole)
            yield from (text.decode("utf-8", "surrogateescape") for text in whole)
        if lines and shown.endswith(b"> "):
            os.write(ours, lines.pop(0).encode() + b"\n")
    os.close(ours)
    assert ended(process) == 0
    assert (number, bytes(shown)) == (len(given), b"")


def run_each(given: Sequence[Sequence[str]]) -> None:
    """As the interpreter would begin and end them."""
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    loop.REPORT_SECONDS = 0.0  # there is a bar, however short the training
    for arguments in given:
        sys.argv = ["rnncli", *arguments]
        try:
            main()
        except SystemExit:
            pass
        except Exception:
            traceback.print_exc()
        sys.stdout.flush()
        os.write(1, MARK.replace(b"\r", b""))


class Campaign:
    """Commands with hostile strings, and what is wrong with what they show."""

    def __init__(self, own: set[str]) -> None:
        self._own = re.compile("|".join(re.escape(sequence) for sequence in sorted(own, key=len)[::-1]))
        self._commands = self._foreign_bytes = 0
        self._wrong: list[str] = []

    def run(
        self,
        folder: Path,
        said: str,
        named: Sequence[Sequence[str]],
        unnamed: Sequence[Sequence[str]] = (),
        **terminal: Any,
    ) -> None:
        """The markup in what is `said` stands in the output of a command as it was, where that is `named`."""
        given = [*named, *unnamed]
        for number, shown in enumerate(at_a_terminal(folder, given, **terminal)):
            what = [argument[:40] for argument in given[number]]
            markup = [markup for markup in MARKUP if markup in said] if number < len(named) else []
            self._wrong += [ascii((*what, wrong)) for wrong in self._judged(shown, markup)]

    def _judged(self, shown: str, markup: Sequence[str]) -> Iterator[str]:
        shown = self._own.sub("", shown)
        foreign = list(FOREIGN.finditer(shown))
        self._commands += 1
        self._foreign_bytes += sum(len(found[0].encode("utf-8", "surrogateescape")) for found in foreign)
        for found in foreign[:1]:
            yield shown[max(found.start() - 40, 0) : found.end() + 10]
        if "Traceback" in shown:
            yield shown[shown.index("Traceback") :][-400:]
        missing = [part for part in markup if part not in shown]
        if missing:
            yield f"without {' '.join(missing)}"

    def end(self, strings: int, figure: Callable[[str], None]) -> None:
        figure(f"{strings:,} strings in {self._commands:,} commands: {self._foreign_bytes:,} foreign bytes")
        assert not self._wrong, "\n".join(self._wrong)


def hostile_strings(number: int) -> list[str]:
    """The same ones every time; each begins with a letter and has something to obey."""
    rng, found = random.Random(0), []
    for _ in range(number):
        pieces = [rng.choice(LIVE), *(rng.choice(rng.choice((WORDS, MARKUP, LIVE))) for _ in range(5))]
        rng.shuffle(pieces)
        found.append(rng.choice(string.ascii_letters) + rng.choice(("", " ")).join(pieces))
    return found


def together(strings: Sequence[str]) -> Iterator[str]:
    """As many at once as an argument can hold."""
    for first in range(0, len(strings), TOGETHER):
        yield " ".join(strings[first : first + TOGETHER])


def filled(command: str, said: str = "", **marks: str) -> list[str]:
    """The arguments of a command, with what its marks stand for: `said` is {}."""
    arguments = command.split(" ")
    for mark, value in {"": said, **marks}.items():
        arguments = [argument.replace(f"{{{mark}}}", value) for argument in arguments]
    return arguments


def as_name(said: str) -> str:
    """Of a file or a folder."""
    return said.translate({0: None, ord("/"): None}).encode()[:120].decode(errors="ignore")


def as_toml(said: str) -> str:
    escaped = (character if character.isalnum() else f"\\U{ord(character):08x}" for character in said)
    return f'"{"".join(escaped)}"'


def as_word(said: str) -> str:
    """Without white space, some of which are controls."""
    return "".join(said.split())


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
        weights = packed({f"A{said}": np.zeros(parameters, np.float32)}, {"step": 1})
        changes: list[tuple[Callable[[Path], object], str, bool]] = [
            (partial(overwrite, "model.safetensors", weights), "info {m}", True),
            (partial(overwrite, "model.safetensors", of_type(said)), "info {m}", True),
            (partial(overwrite, "checkpoints/step-2.safetensors", weights), RESUME, False),
            (Manifest({said: (Entry(1, said),)}).write, "verify {m}", False),
        ]
        for row in (*STRANGE, *UNNAMED_STRANGE):
            name, place, command = row.split(" ", 2)
            changes.append((partial(rewrite, name, place, said), command, row in STRANGE))
        for report in (
            {"report": "evaluated", "step": said, "score": {"nats": said, "tokens": 1}},
            {"report": "evaluated", "step": 1, "score": said},
            {"report": said, said: said},
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
    header = json.dumps({"a": tensor, "__metadata__": {"facts": "{}", "sha256": ""}}).encode()
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
        campaign.run(home.folder, said, [], [("complete", "-", "--unit", "line", "-l", "9")], stdin=prompt)
    turns = (line if number % 3 else f"/temp {line}" for number, line in enumerate(strings))
    prompt.write_bytes("".join(line + "\n" for line in turns).encode())
    campaign.run(home.folder, " ".join(strings), [("generate", "-i", "-l", "3")], stdin=prompt)
    campaign.end(len(strings), figure)
