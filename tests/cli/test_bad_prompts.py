"""What people may do to `rnncli generate`: each gets its text or one clear error."""

import os
import subprocess
from pathlib import Path

import pytest

from rnncli.generation import prompt as prompts
from tests.cli.conftest import TINY, Command
from tests.cli.test_processes import COMMAND, ENVIRONMENT

HOSTILE = "\x1b[31mred\x07 \x9b2J \x1b]52;c;aGk=\x07 [bold]x[/bold] \u202egnol\n"


@pytest.fixture
def model(rnncli: Command, rhyme: Path) -> Command:
    assert rnncli("train", rhyme, "--name", "m", *TINY).code == 0
    return rnncli


def test_an_empty_prompt_is_none(model: Command) -> None:
    texts = [model("generate", "--seed", "1", *prompt).out for prompt in ((), ("--prompt", ""))]
    assert texts[0] == texts[1]
    assert model("generate", "--seed", "1", "--prompt", "-", stdin=b"").out == texts[0]


def test_of_a_prompt_of_ten_megabytes_the_end_is_read(model: Command) -> None:
    prompt = b"the rain is more than the sun;\n" * 330_000
    ran = model("generate", "--prompt", "-", "--length", "20", "--seed", "1", stdin=prompt)
    assert ran.code == 0
    assert "only the last 10,000 of the 10,230,000 tokens of the prompt are read" in ran.err
    end = model("generate", "--prompt", "-", "--length", "20", "--seed", "1", stdin=prompt[-10_000:])
    assert ran.out == prompt.decode() + end.out[10_000:]


def test_what_is_further_back_has_faded(model: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ("generate", "--prompt", "-", "--length", "9", "--temperature", "0", "--format", "jsonl")
    prompt = b"the rain is more than the sun;\n" * 70
    nats = []
    for most in (500, 10_000):
        monkeypatch.setattr(prompts, "_MAX_PROMPT_TOKENS", most)
        nats.append(model(*given, stdin=prompt).json["nll_nats"])
    assert nats[0] == pytest.approx(nats[1], rel=1e-5)


@pytest.mark.parametrize(
    "options", [("--length", "-1"), ("-n", "0"), ("--seed", "-1"), ("--top-k", "x")], ids=" ".join
)
def test_what_no_option_can_be_is_wrong_usage(model: Command, options: tuple[str, ...]) -> None:
    ran = model("generate", *options)
    assert (ran.code, ran.out) == (2, "")


@pytest.mark.parametrize("prompt", ["☃", "the ☃ rain", "\N{GRINNING FACE}\u200d"], ids=ascii)
def test_symbols_that_the_model_has_never_seen_are_named(model: Command, prompt: str) -> None:
    ran = model("generate", "--prompt", prompt, "--length", "3")
    assert ran.code == 0
    assert ran.out.startswith(prompt)
    assert "out-of-vocabulary" in ran.err


def test_a_text_of_a_thousand_million_tokens_begins_at_once(model: Command) -> None:
    with subprocess.Popen(
        [*COMMAND, "generate", "--length", str(10**9), "-q"], stdout=subprocess.PIPE, env=ENVIRONMENT
    ) as writing:
        assert writing.stdout is not None
        assert len(writing.stdout.read(100)) == 100
        writing.stdout.close()
    assert writing.returncode != 0


@pytest.mark.parametrize("arguments", ["generate --prompt -", "generate -i", "complete -", "memorized -"])
def test_a_closed_stdin_is_one_error(model: Command, arguments: str) -> None:
    command = f"{' '.join(COMMAND)} {arguments} <&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert done.stderr.count(b"error: ") == 1, done.stderr
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        "generate -l 400 --temperature 3 --seed 1",
        "generate -n 4 -l 100 --temperature 3",
        "generate --prompt \x1b[2J\x9b -l 50",
        "complete \x1b]0;x\x07",
        "memorized --length 300",
    ],
    ids=ascii,
)
def test_no_control_character_of_a_model_reaches_a_terminal(
    rnncli: Command, own_folder: Path, arguments: str
) -> None:
    (own_folder / "hostile.txt").write_text(HOSTILE * 30, encoding="utf-8")
    assert rnncli("train", "hostile.txt", "--name", "m", *TINY).code == 0
    shown = on_a_terminal(arguments.split(" "))
    foreign = {chr(point) for point in (*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F))} - set(
        "\r\n\t"
    )
    # Colours of our own are all that may be there.
    own = shown.replace("\x1b[0m", "")
    for sequence in ("\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[36m", "\x1b[32m", "\x1b[1;36m"):
        own = own.replace(sequence, "")
    assert not foreign & set(own), ascii(own)
    assert "Traceback" not in own


def on_a_terminal(arguments: list[str]) -> str:
    """All that a command writes to a terminal that it believes in."""
    pty = pytest.importorskip("pty", reason="Windows has other terminals")
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in ENVIRONMENT.items() if key != "NO_COLOR"} | {"TERM": "xterm"}
    with subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ):
        os.close(theirs)
        shown = b""
        while True:
            try:
                read = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
            if not read:
                break
            shown += read
    os.close(ours)
    return shown.decode("utf-8")


def test_raw_bytes_do_not_go_to_a_terminal(model: Command) -> None:
    assert "--raw would send" in on_a_terminal(["generate", "--raw"])
