"""`--line-by-line`: every line a sample of its own, from the text to what is written and scored."""

from pathlib import Path

import pytest

from rnncli.storage.model_dir import ModelDir
from tests.cli.conftest import TINY, Command

NAMES = [
    f"{a}{b}{c}" for a in ("em", "a", "ol", "mi") for b in ("m", "v", "i") for c in ("a", "ia", "ya")
] * 3
LEVELS = [
    ("--level", "char"),
    ("--level", "byte"),
    ("--level", "word"),
    ("--level", "subword", "--vocab-size", "280"),
    ("--level", "word", "--pattern", "[aeiou]"),
]


@pytest.fixture
def names(own_folder: Path) -> Path:
    path = own_folder / "names.txt"
    path.write_text("\n".join(NAMES))  # the last one has no line end
    return path


@pytest.fixture
def trained(rnncli: Command, names: Path) -> Path:
    ran = rnncli("train", names, "--line-by-line", "--split-method", "lines", "--name", "x", *TINY)
    assert ran.code == 0, ran.err
    return names


@pytest.mark.parametrize("options", LEVELS, ids=" ".join)
def test_lines_train_and_what_is_written_ends_with_its_line(
    rnncli: Command, names: Path, options: tuple[str, ...]
) -> None:
    ran = rnncli("train", names, "--line-by-line", "--name", "x", *options, *TINY)
    assert ran.code == 0, ran.err
    outs = [rnncli("generate", "--seed", seed, "--length", "3000").out for seed in range(6)]
    assert all(out.count("\n") == 1 and out.endswith("\n") for out in outs)
    assert len(set(outs)) > 1


def test_half_a_line_is_written_to_its_end(rnncli: Command, trained: Path) -> None:
    for seed in range(5):
        out = rnncli("generate", "--prompt", "emm", "--seed", seed, "--length", "3000").out
        assert out.startswith("emm")
        assert out.endswith("\n")
        assert out.count("\n") == 1


def test_length_still_is_the_most_that_is_written(rnncli: Command, trained: Path) -> None:
    for seed in range(5):
        assert len(rnncli("generate", "--seed", seed, "--length", "2").out) <= 2


def test_a_sample_during_the_training_is_of_several_lines(rnncli: Command, names: Path) -> None:
    ran = rnncli("train", names, "--line-by-line", "--name", "x", *TINY)
    samples = [line for line in ran.err.splitlines() if line.startswith("sample: ")]
    assert samples
    assert all(1 <= sample.count("\\n") <= 5 for sample in samples)


def test_a_text_is_worth_the_sum_of_its_lines_each_alone(rnncli: Command, trained: Path) -> None:
    lines = ["emma\n", "\n", "olivia\n", "mia"]
    Path("all.txt").write_text("".join(lines))
    whole = rnncli("eval", "all.txt", "--json").json
    alone = []
    for line in lines:
        Path("one.txt").write_text(line)
        alone.append(rnncli("eval", "one.txt", "--json").json)
    for key in ("nll_nats", "tokens", "characters", "words", "bytes"):
        assert whole[key] == pytest.approx(sum(score[key] for score in alone), rel=1e-5), key
    Path("turned.txt").write_text("".join(["olivia\n", "emma\n", "\n", "mia"]))
    assert rnncli("eval", "turned.txt", "--json").json["nll_nats"] == pytest.approx(
        whole["nll_nats"], rel=1e-5
    )


def test_the_held_out_lines_score_as_the_same_lines_in_a_file(rnncli: Command, names: Path) -> None:
    rnncli("train", names, "--line-by-line", "--valid-fraction", "0.25", "--name", "x", *TINY)
    store = ModelDir.find("x").corpus()
    held_out = NAMES[-len(store.valid.line_starts) :]  # type: ignore[arg-type]
    Path("held.txt").write_text("".join(f"{name}\n" for name in held_out))
    own, other = rnncli("eval", "--json").json, rnncli("eval", "held.txt", "--json").json
    for key in ("nll_nats", "tokens", "characters", "words", "bytes"):
        assert own[key] == pytest.approx(other[key], rel=1e-6), key
    assert 0.2 * len(NAMES) < len(held_out) < 0.3 * len(NAMES)


def test_a_run_of_lines_goes_on_with_a_larger_budget_and_stays_one_of_lines(
    rnncli: Command, trained: Path
) -> None:
    ran = rnncli("train", "--resume", "x", "--steps", "12", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["step"] == 12
    assert ModelDir.find("x").record().line_by_line
    assert rnncli("generate", "-m", "x", "--length", "900").out.endswith("\n")


def test_a_store_of_lines_trains_lines(rnncli: Command, trained: Path) -> None:
    made = rnncli("tokenize", trained, "--line-by-line", "--split-method", "lines", "--json")
    assert made.json["line_by_line"]
    assert made.json["tokens"] == len(trained.read_text()) + 1, "the last line has got its end"
    assert "line by line" in rnncli("tokenize", trained, "--line-by-line", "--split-method", "lines").out
    ran = rnncli("train", "names.tok", "--name", "y", *TINY)
    assert ran.code == 0, ran.err
    scores = [rnncli("eval", "-m", name, "--json").json["nll_nats"] for name in ("x", "y")]
    assert scores[0] == scores[1]


def test_epochs_of_lines_are_passes_over_all_of_them(rnncli: Command, names: Path) -> None:
    options = ("--line-by-line", "--epochs", "2", "--batch-size", "4", "--hidden-size", "8")
    ran = rnncli("train", names, "--name", "x", "--json", *options)
    assert ran.code == 0, ran.err
    assert ran.json["step"] == pytest.approx(2 * 0.9 * len(NAMES) / 4, abs=4)


def test_without_options_lines_are_planned_and_trained(rnncli: Command, names: Path) -> None:
    ran = rnncli("train", names, "--line-by-line", "--time", "2s", "--name", "x", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["plan"]["bptt"] == max(map(len, NAMES)) + 1
