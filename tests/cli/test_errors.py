"""Wrong files, wrong values, wrong usage: one line what, one line what next, nothing lost."""

import shutil
from pathlib import Path

import pytest

from rnncli.nn.fused import support
from tests.cli.conftest import TINY, Command, nothing_is_left


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "has 0 characters"),
        (b"a", "has 1 characters"),
        (b"abc\xff\xfe\xffdef" * 10, "byte offset 3"),
        ("中文".encode("gb18030") * 50, "byte offset 0"),
    ],
)
def test_a_text_that_cannot_be_used_is_one_error_and_one_hint(
    rnncli: Command, own_folder: Path, content: bytes, named: str
) -> None:
    Path("bad.txt").write_bytes(content)
    for command in ("train", "tokenize"):
        ran = rnncli(command, "bad.txt")
        assert ran.code == 1
        error, hint = [line for line in ran.err.splitlines() if line]
        assert error.startswith("error: ")
        assert named in error
        assert hint.startswith("hint: ")
        assert nothing_is_left()


@pytest.mark.parametrize("command", ["train", "tokenize"])
def test_a_missing_text_is_named(rnncli: Command, command: str) -> None:
    ran = rnncli(command, "nowhere.txt")
    assert ran.code == 1
    assert "cannot read nowhere.txt: No such file" in ran.err


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_a_text_without_anything_to_score_is_an_error(rnncli: Command, rhyme: Path, content: bytes) -> None:
    rnncli("train", rhyme, "--name", "x", "--level", "word", *TINY)
    Path("blank.txt").write_bytes(content.replace(b"\n", b""))
    ran = rnncli("eval", "blank.txt")
    assert ran.code == 1
    assert "blank.txt has nothing to score" in ran.err


def test_a_run_that_would_fill_the_disk_is_refused_before_it_starts(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2**30, 2**30, 0))
    ran = rnncli("train", rhyme, *TINY)
    assert ran.code == 1
    assert "MB of disk; 0 MB are free" in ran.err
    assert nothing_is_left()


def test_what_this_machine_cannot_use_is_shown_with_v_alone_and_logged_always(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(support, "why_no_kernels", lambda: "this is another processor")
    for name, verbose in (("quiet", ()), ("verbose", ("-v",))):
        ran = rnncli("train", rhyme, "--name", name, *TINY, "--hidden-size", "64", *verbose)
        assert ran.code == 0, ran.err
        reason = "bf16 with fused kernels: this is another processor"
        assert (f"not used={reason}" in ran.err) == bool(verbose)
        assert f"not used: {reason}" in Path("models", name, "metrics.jsonl").read_text()


def test_utf_16_without_a_mark_is_recognised(rnncli: Command) -> None:
    Path("wide.txt").write_bytes(("plain text " * 50).encode("utf-16-le"))
    ran = rnncli("tokenize", "wide.txt")
    assert ran.code == 1
    assert "--encoding utf-16-le" in ran.err
    assert rnncli("tokenize", "wide.txt", "--encoding", "utf-16-le", "--json").json["characters"] == 550


def test_a_name_too_long_for_a_file_is_an_error_and_no_traceback(rnncli: Command) -> None:
    assert rnncli("train", "x" * 5000).code == 1
    assert rnncli("eval", "-m", "x" * 5000).code == 1


def test_an_empty_folder_is_neither_a_text_nor_a_store(rnncli: Command, own_folder: Path) -> None:
    Path("folder").mkdir()
    for command in ("train", "tokenize"):
        ran = rnncli(command, "folder")
        assert ran.code == 1
        assert "folder has no files in it" in ran.err
        assert nothing_is_left()


@pytest.mark.parametrize(
    "options",
    [
        ("--batch-size", "0"),
        ("--batch-size", "-1"),
        ("--batch-size", "1000000000"),
        ("--hidden-size", "0"),
        ("--hidden-size", "1000000000"),
        ("--num-layers", "0"),
        ("--num-layers", "10000"),
        ("--dropout", "1"),
        ("--dropout", "-0.1"),
        ("--dropout", "nan"),
        ("--learning-rate", "0"),
        ("--learning-rate", "inf"),
        ("--learning-rate", "nan"),
        ("--seed", "-1"),
        ("--seed", "18446744073709551616"),
        ("--epochs", "1", "--steps", "1"),
        ("--level", "sentence"),
        ("--level", "word", "--vocab-size", "1"),
        ("--vocab-size", "50"),
        ("--subword-kind", "unigram"),
        ("--cell", "transformer"),
        ("--nonlinearity", "relu"),
        ("--tied-embeddings", "--embedding-size", "7", "--hidden-size", "9"),
        ("--valid-fraction", "0"),
        ("--valid-fraction", "1"),
        ("--device", "abacus"),
        ("--encoding", "klingon"),
        ("--name", "../outside"),
        ("--precision", "fp64"),
    ],
    ids=" ".join,
)
def test_an_option_without_sense_is_one_usage_error_and_leaves_nothing(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    ran = rnncli("train", rhyme, *options)
    assert ran.code == 2, ran.err
    assert ran.err.count("error: ") == ran.err.count("hint: ") == 1
    assert "Traceback" not in ran.err
    assert nothing_is_left()


@pytest.mark.parametrize(
    "options",
    [
        ("--batch-size", "4096", "--bptt", "4096"),
        ("--hidden-size", "16384", "--num-layers", "64"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_fit_text_or_machine_are_one_error_and_leave_nothing(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    ran = rnncli("train", rhyme, *options)
    assert ran.code == 1, ran.err
    assert ran.err.count("error: ") == ran.err.count("hint: ") == 1
    assert "Traceback" not in ran.err
    assert nothing_is_left()


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("train", "a.txt", "--resume", "x"),
        ("train", "a.txt", "--steps", "0"),
        ("train", "a.txt", "--epochs", "nan"),
        ("train", "a.txt", "--time", "5"),
        ("train", "a.txt", "--time", "0s"),
        ("train", "a.txt", "--time", "soon"),
        ("train", "a.txt", "--hidden-size", "many"),
        ("train", "a.txt", "--no-such-option"),
        ("train", "a.txt", "--config", "missing.toml"),
        ("generate", "--length", "-1"),
        ("no-such-command",),
        ("tokenize",),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_two(rnncli: Command, arguments: tuple[str, ...]) -> None:
    ran = rnncli(*arguments)
    assert ran.code == 2
    assert "Traceback" not in ran.err


def test_an_unknown_key_in_a_settings_file_is_answered_with_the_nearest(rnncli: Command, rhyme: Path) -> None:
    Path("bad.toml").write_text("hiden-size = 9\n")
    ran = rnncli("train", rhyme, "--config", "bad.toml")
    assert ran.code == 2
    assert "hidden-size" in ran.err


@pytest.mark.parametrize(
    "options",
    [
        ("--temperature", "-1"),
        ("--temperature", "inf"),
        ("--temperature", "nan"),
        ("--top-k", "-1"),
        ("--top-p", "0"),
        ("--top-p", "1.1"),
    ],
    ids=repr,
)
def test_sampling_options_out_of_range_are_wrong_usage(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    ran = rnncli("generate", *options)
    assert ran.code == 2, ran.err
    assert ran.err.count("error: ") == ran.err.count("hint: ") == 1
    assert ran.out == ""


def test_a_prompt_that_is_not_utf_8_is_one_error(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    ran = rnncli("generate", "--prompt", "half \udce4 character")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.count("error: ") == ran.err.count("hint: ") == 1


@pytest.mark.parametrize(
    "options", [("--temperature", "0"), ("--temperature", "1e-45"), ("--top-k", "999999"), ("--length", "0")]
)
def test_extreme_sampling_settings_that_make_sense_work(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    assert rnncli("generate", "--length", "5", *options).code == 0


def test_commands_without_a_model_say_how_to_make_one(rnncli: Command) -> None:
    for command in ("eval", "generate", "info"):
        ran = rnncli(command)
        assert ran.code == 1
        assert "rnncli train" in ran.err


def test_a_taken_name_is_refused_before_any_work(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    before = Path("models/x/model.safetensors").read_bytes()
    ran = rnncli("train", rhyme, "--name", "x", *TINY)
    assert ran.code == 1
    assert "models/x exists already" in ran.err
    assert "--resume x" in ran.err
    assert Path("models/x/model.safetensors").read_bytes() == before


def test_an_existing_output_is_not_overwritten(rnncli: Command, rhyme: Path) -> None:
    Path("rhyme.tok").mkdir()
    ran = rnncli("tokenize", rhyme)
    assert ran.code == 1
    assert "rhyme.tok exists already" in ran.err


def test_damaged_weights_are_noticed_and_named(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    path = Path("models/x/model.safetensors")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    ran = rnncli("eval")
    assert ran.code == 1
    assert "models/x/model.safetensors does not match its checksum" in ran.err


def test_a_resumed_run_keeps_its_settings(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    for option in (("--hidden-size", "9"), ("--level", "char"), ("--valid-fraction", "0.2"), ("--name", "y")):
        ran = rnncli("train", "--resume", "x", *option)
        assert ran.code == 2
        assert "cannot change when a training is resumed" in " ".join(ran.err.replace("│", " ").split())


def test_a_token_store_keeps_its_level_and_its_split(rnncli: Command, rhyme: Path) -> None:
    rnncli("tokenize", rhyme)
    for option in (("--level", "byte"), ("--valid-fraction", "0.2"), ("--encoding", "latin-1")):
        ran = rnncli("train", "rhyme.tok", *option)
        assert ran.code == 2
        assert "is already tokenized" in ran.err


def test_debug_shows_the_traceback(rnncli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNCLI_DEBUG", "1")
    with pytest.raises(Exception, match=r"cannot read nowhere\.txt"):
        rnncli("tokenize", "nowhere.txt")


def test_a_vocabulary_without_room_for_bytes_is_wrong_usage(rnncli: Command, rhyme: Path) -> None:
    for size in ("5", "100"):
        ran = rnncli("train", rhyme, "--level", "subword", "--vocab-size", size)
        assert ran.code == 2
        assert f"vocab size is {size}" in ran.err
        assert ran.err.count("error: ") == ran.err.count("hint: ") == 1
        assert nothing_is_left()


def test_a_variable_of_a_build_is_not_an_option(rnncli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNCLI_VERSION", "0.1.0")
    assert rnncli("manual").code == 0
