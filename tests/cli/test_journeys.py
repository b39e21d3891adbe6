"""What people do with the commands, from a text to a model that writes."""

import json
from pathlib import Path
from typing import Any

import pytest

from rnncli.errors import StorageError
from rnncli.metrics import Score
from rnncli.storage.model_dir import ModelDir
from tests.cli.conftest import TINY, Command

SCORE_KEYS = {
    "nll_nats",
    "tokens",
    "words",
    "characters",
    "bytes",
    "token_perplexity",
    "word_perplexity",
    "bits_per_character",
    "bits_per_byte",
    "oov_tokens",
}
CHINESE = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n" * 20


@pytest.mark.parametrize("level", ["char", "byte", "word", "subword"])
@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_level_and_cell_trains_evaluates_and_writes(
    rnncli: Command, rhyme: Path, level: str, cell: str
) -> None:
    trained = rnncli("train", rhyme, "--name", "x", "--level", level, "--cell", cell, *TINY)
    assert (trained.code, trained.out) == (0, "models/x\n"), trained.err
    evaluated = rnncli("eval", "--json")
    assert evaluated.code == 0
    assert evaluated.json.keys() >= SCORE_KEYS
    written = rnncli("generate", "--prompt", "The rain", "--length", "20", "--seed", "1")
    assert written.code == 0
    assert written.out.startswith("The rain")
    assert len(written.out) > len("The rain")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_held_out_part_is_watched_in_the_precision_of_training(
    rnncli: Command, rhyme: Path, precision: str
) -> None:
    options = ("--name", "x", "--precision", precision, "--kernels", "torch", *TINY)
    assert rnncli("train", rhyme, *options).code == 0
    watched = rnncli("info", "--json").json["valid"]
    exact = rnncli("eval", "--json").json
    assert watched["tokens"] == exact["tokens"]
    difference = abs(watched["nll_nats"] - exact["nll_nats"]) / exact["nll_nats"]
    assert difference < 1e-5 if precision == "fp32" else 1e-5 < difference < 0.01


def test_without_options_the_plan_is_shown_and_kept(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--time", "2s", "--name", "x")
    assert ran.code == 0, ran.err
    for word in ("parameters", "epochs", "tokens/s", "memory", "for validation"):
        assert word in ran.err
    record = json.loads(Path("models/x/config.json").read_text())
    assert record["status"] == "finished"
    assert {path.name for path in Path("models/x").iterdir()} == {
        "README.md",
        "checkpoints",
        "config.json",
        "corpus.tok",
        "lines.safetensors",
        "lock",
        "manifest.json",
        "metrics.jsonl",
        "model.safetensors",
        "tokenizer.json",
    }


def test_a_token_store_trains_like_its_text(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("tokenize", rhyme, "-o", "rhyme.tok").code == 0
    assert rnncli("train", "rhyme.tok", "--name", "store", *TINY).code == 0
    assert rnncli("train", rhyme, "--name", "text", *TINY).code == 0
    scores = [rnncli("eval", "-m", name, "--json").json for name in ("store", "text")]
    assert scores[0]["nll_nats"] == scores[1]["nll_nats"]
    assert not Path("models/store/corpus.tok").exists(), "a store of its own is not copied"


def test_a_piped_text_trains_and_its_held_out_part_is_kept(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", "-", "--name", "piped", *TINY, stdin=rhyme.read_bytes()).code == 0
    assert rnncli("eval", "-m", "piped", "--json").json["text"] == "validation split of stdin"


def test_eval_of_the_held_out_text_equals_eval_of_the_held_out_part(rnncli: Command, rhyme: Path) -> None:
    text = rhyme.read_text()
    Path("end.txt").write_text(text[int(len(text) * 0.9) :])
    rnncli("train", rhyme, "--name", "x", *TINY)
    own, other = rnncli("eval", "--json").json, rnncli("eval", "end.txt", "--json").json
    assert {key: own[key] for key in SCORE_KEYS} == {key: other[key] for key in SCORE_KEYS}
    assert own["tokens"] == own["characters"] == len(text) - int(len(text) * 0.9)


def test_eval_names_the_symbols_that_the_model_lacks(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    Path("other.txt").write_text("The ☃ and the 光 and the ☃.\n")
    ran = rnncli("eval", "other.txt", "--json")
    assert ran.json["oov_tokens"] == 3
    assert "U+2603 SNOWMAN" in ran.err
    assert "U+5149" in ran.err


def test_the_same_seed_writes_the_same_text(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    one, two, other = (
        rnncli("generate", "--length", "80", "--seed", seed, "--temperature", "1").out for seed in (5, 5, 6)
    )
    assert one == two != other
    assert len(one) == 80


def test_a_prompt_from_stdin_with_unseen_symbols_is_read(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    ran = rnncli("generate", "--prompt", "-", "--length", "5", stdin="雪 the".encode())
    assert ran.code == 0
    assert ran.out.startswith("雪 the")
    assert "U+96EA" in ran.err


def test_chinese_is_trained_and_written_in_whole_characters(rnncli: Command, own_folder: Path) -> None:
    Path("詩.txt").write_text(CHINESE, encoding="utf-8")
    for level in ("char", "byte", "subword"):
        assert rnncli("train", "詩.txt", "--name", level, "--level", level, *TINY).code == 0
        assert rnncli("generate", "-m", level, "--prompt", "明月", "--length", "40").out.startswith("明月")


def test_chinese_at_word_level_is_told_what_suits_it(rnncli: Command, own_folder: Path) -> None:
    Path("詩.txt").write_text(CHINESE.replace("\n", "") * 2, encoding="utf-8")
    ran = rnncli("tokenize", "詩.txt", "--level", "word", "-o", "w.tok")
    assert "hardly any spaces" in ran.err
    assert "--level subword" in ran.err


def test_a_finished_run_goes_on_with_a_larger_budget(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    refused = rnncli("train", "--resume", "x")
    assert refused.code == 1
    assert "x is finished: 6 steps" in refused.err
    resumed = rnncli("train", "--resume", "x", "--steps", "12", "--json")
    assert resumed.code == 0, resumed.err
    assert resumed.json["step"] == 12


def test_resuming_needs_neither_the_text_nor_its_options(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    rhyme.unlink()
    assert rnncli("train", "--resume", "x", "--steps", "8").code == 0
    assert rnncli("eval", "-m", "x").code == 0


def test_train_says_in_json_what_it_made(rnncli: Command, rhyme: Path) -> None:
    record = rnncli("train", rhyme, "--name", "x", "--json", *TINY).json
    assert record["path"] == "models/x"
    assert record["step"] == 6
    assert record["interrupted"] is False
    assert record["valid"].keys() >= SCORE_KEYS
    assert record["plan"]["parameters"] > 0


def test_info_tells_shape_text_and_curve(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    record = rnncli("info", "x", "--json").json
    assert record["architecture"] == "lstm, 1 layer of 12, embedding 8"
    assert record["corpus"] == "rhyme.txt"
    assert len(record["curve"]) >= 3
    shown = rnncli("info", "x").out
    assert "lstm, 1 layer of 12" in shown
    assert "embedding.weight" in shown


def test_tokenize_says_in_json_what_it_made(rnncli: Command, rhyme: Path) -> None:
    record = rnncli("tokenize", rhyme, "--json").json
    assert record["path"] == "rhyme.tok"
    assert record["tokens"] == record["characters"] == len(rhyme.read_text())
    assert record["level"] == "char"


def test_a_text_that_marks_unknown_words_is_read_in_words(rnncli: Command, own_folder: Path) -> None:
    Path("ptb.txt").write_text(" the <unk> of the N N \n a <unk> b \n" * 30)
    assert rnncli("tokenize", "ptb.txt", "--json").json["level"] == "word"


def test_settings_come_from_a_file_and_from_the_environment(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("small.toml").write_text('hidden-size = 9\nsteps = 4\nname = "from-file"\ntied-embeddings = false\n')
    monkeypatch.setenv("RNNCLI_TRAIN_EMBEDDING_SIZE", "7")
    monkeypatch.setenv("RNNCLI_TRAIN_STEPS", "5")
    ran = rnncli("train", rhyme, "--config", "small.toml", "--steps", "3", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["path"] == "models/from-file"
    assert ran.json["plan"]["architecture"] == "lstm, 1 layer of 9, embedding 7"
    assert ran.json["step"] == 3
    monkeypatch.setenv("RNNCLI_MODEL", "from-file")
    assert rnncli("info", "--json").json["path"] == "models/from-file"


def test_quiet_shows_nothing_but_the_result(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--name", "x", "-q", *TINY)
    assert (ran.out, ran.err) == ("models/x\n", "")
    for command in (("eval", "--json"), ("generate", "--length", "5", "--prompt", "☃"), ("tokenize", rhyme)):
        assert rnncli(*command, "-q").err == ""


def test_a_save_that_fails_on_the_way_is_said_and_the_training_goes_on(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = ModelDir.save_checkpoint, []

    def full(self: ModelDir, **given: Any) -> None:
        if calls:
            raise StorageError(
                "cannot write models/x/model.safetensors: No space left", hint="check the space"
            )
        calls.append(real(self, **given))

    monkeypatch.setattr(ModelDir, "save_checkpoint", full)
    ran = rnncli("train", rhyme, "--name", "x", *TINY)
    assert "No space left; check the space; the training goes on" in ran.err
    assert ran.code == 1, "the last save fails loudly"
    assert "error: cannot write models/x/model.safetensors" in ran.err
    monkeypatch.setattr(ModelDir, "save_checkpoint", real)
    assert rnncli("train", "--resume", "x", "--steps", "8").code == 0
    assert rnncli("eval", "-m", "x").code == 0


def test_the_best_weights_are_saved_later_where_their_own_save_failed(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three validations the second is the best, and its save fails."""
    real, calls, scores = ModelDir.save_checkpoint, [], iter([3.0, 1.0, 2.0])

    def full_once(self: ModelDir, **given: Any) -> None:
        calls.append(None)
        if len(calls) == 2:
            raise StorageError("no space left", hint="check the space")
        real(self, **given)

    def estimate(*_: object) -> Score:
        return Score(nll_nats=next(scores), tokens=1, words=1, characters=1, bytes=1)

    monkeypatch.setattr(ModelDir, "save_checkpoint", full_once)
    monkeypatch.setattr("rnncli.workflows.training_session.estimate", estimate)
    ran = rnncli("train", rhyme, "--name", "x", *TINY, "--validations", "3")
    assert ran.code == 0, ran.err
    assert "no space left" in ran.err
    kept = ModelDir.find("x").require_weights()
    assert kept.score is not None
    assert (kept.step, kept.score.nll_nats) == (4, 1.0)


def test_a_finished_run_was_written_once_at_its_end(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = ModelDir.save_checkpoint, []

    def noted(self: ModelDir, *, step: int, **given: Any) -> None:
        steps.append(step)
        real(self, step=step, **given)

    monkeypatch.setattr(ModelDir, "save_checkpoint", noted)
    assert rnncli("train", rhyme, "--name", "x", *TINY, "--validations", "2").code == 0
    assert steps == [3, 6]
    record = ModelDir.find("x").record()
    assert (record.status, record.step) == ("finished", 6)


def test_a_changed_level_is_explained_in_the_plan(rnncli: Command) -> None:
    Path("ptb.txt").write_text(" the <unk> of the N N \n a <unk> b \n" * 30)
    ran = rnncli("train", "ptb.txt", "--name", "x", *TINY)
    assert ran.code == 0
    assert "level word: the text itself contains <unk>" in ran.err
    assert "ptb.txt (utf-8)" in ran.err
