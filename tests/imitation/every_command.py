"""What every command does on any system; test_windows.py and test_macos.py run it on theirs."""

import os
import re
import signal
import time
from collections.abc import Callable

from tests.imitation.running import SHAPE, TEXT, Machine, Running

ENDLESS = ("--steps", "100000000", *SHAPE)
CHINESE = "床前明月光，疑是地上霜。\n舉頭望明月，低頭思故鄉。\n" * 40


def until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to happen."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def steps(running: Running) -> bool:
    """Whether a training has reported a step."""
    return "step=" in running.said()


def is_sound(machine: Machine, name: str) -> bool:
    """Whether a model is what was written, and nothing else is left."""
    assert not list((machine.folder / "models").rglob(".partial-*"))
    return machine("verify", name).code == 0


class EveryCommand:
    def test_the_model_of_a_training_is_sound(self, machine: Machine) -> None:
        assert is_sound(machine, "x")
        saved = [
            file
            for file in (machine.folder / "models/x").rglob("*")
            if file.suffix in (".json", ".jsonl", ".md")
        ]
        assert len(saved) > 4
        for file in saved:
            assert b"\r" not in file.read_bytes(), file

    def test_tokenize(self, machine: Machine) -> None:
        (machine.folder / "crlf.txt").write_bytes(TEXT.replace("\n", "\r\n").encode())
        stores = [
            machine.good("tokenize", name, "--newlines", "unix", "--json").json
            for name in ("text.txt", "crlf.txt")
        ]
        assert (machine.folder / "crlf.tok" / "dataset.json").is_file()
        assert stores[0]["vocab_size"] == stores[1]["vocab_size"], "CRLF is no other text"
        again = machine.good("tokenize", "text.txt", "--newlines", "unix", "--json")
        assert again.json["reused"]
        ids = machine.good("tokenize", "--encode", "--tokenizer", "crlf.tok", stdin=b"the sun\n")
        assert (
            machine.good("tokenize", "--decode", "--tokenizer", "crlf.tok", stdin=ids.out).out == b"the sun\n"
        )
        assert machine.good("tokenize", "text.txt", "--report").out

    def test_texts_in_folders_patterns_and_lists(self, machine: Machine) -> None:
        folder = machine.folder / "texts"
        folder.mkdir()
        for name in ("a.txt", "b.txt"):
            (folder / name).write_bytes(TEXT.encode())
        (machine.folder / "list.txt").write_bytes(b"texts/a.txt\r\ntexts/b.txt\r\n")
        sizes = {
            machine.good("tokenize", named, "-o", f"{number}.tok", "--json").json["tokens"]
            for number, named in enumerate(["texts", "texts/*.txt", "@list.txt"])
        }
        assert sizes == {2 * len(TEXT)}

    def test_train_for_a_time(self, machine: Machine) -> None:
        machine.good("train", "text.txt", "--name", "timed", "--time", "3s", *SHAPE)
        assert is_sound(machine, "timed")

    def test_resume(self, machine: Machine) -> None:
        machine.good("train", "text.txt", "--name", "longer", "--steps", "5", *SHAPE)
        machine.good("train", "--resume", "longer", "--steps", "+5")
        assert machine.good("info", "longer", "--json").json["step"] == 10
        assert is_sound(machine, "longer")

    def test_ctrl_c_and_kill_save(self, machine: Machine) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            ended_by(machine, number, f"stopped-{number:d}")

    def test_a_store_is_trained_on_where_it_is(self, machine: Machine) -> None:
        machine.good("tokenize", "text.txt", "-o", "mine.tok")
        machine.good("train", "mine.tok", "--name", "stored", "--steps", "3", *SHAPE)
        machine.good("train", "--resume", "stored", "--steps", "+3")

    def test_of_two_trainings_with_one_name_the_second_is_refused(self, machine: Machine) -> None:
        first = machine.start("train", "text.txt", "--name", "both", *ENDLESS)
        until(lambda: steps(first))
        second = machine("train", "text.txt", "--name", "both", *ENDLESS)
        resumed = machine("train", "--resume", "both", "--steps", "+1")
        os.kill(first.process, signal.SIGTERM)
        assert first.ended().code == 128 + signal.SIGTERM
        for refused in (second, resumed):
            assert refused.code == 1, refused.err
            assert f"models/both is being written by process {first.process} on " in refused.err
        assert is_sound(machine, "both")

    def test_a_training_that_fails_leaves_nothing(self, machine: Machine) -> None:
        (machine.folder / "tiny.txt").write_bytes(b"abcdefghijkl\n" * 3)
        failed = machine(
            "train", "tiny.txt", "--name", "failed", "--steps", "3", "--batch-size", "64", "--bptt", "512"
        )
        assert failed.code == 1, failed.err
        assert "hint:" in failed.err
        assert not list((machine.folder / "models").glob("*failed*"))

    def test_ngram(self, machine: Machine) -> None:
        machine.good("train", "text.txt", "--name", "counted", "--steps", "3", *SHAPE)
        assert machine.good("ngram", "counted", "--order", "3", "--json", "--arpa", "x.arpa").json
        assert b"\r" not in (machine.folder / "x.arpa").read_bytes()
        machine.good("ngram", "counted", "--from-arpa", "x.arpa")
        assert is_sound(machine, "counted")

    def test_eval_score_and_rescore(self, machine: Machine) -> None:
        assert machine.good("eval", "--model", "x", "--json").json
        assert machine.good("eval", "text.txt", "--model", "x").out
        assert (
            machine.good("score", "--model", "x", "--unit", "word", stdin=b"the rain\nthe sun\n").out.count(
                b"\n"
            )
            >= 4
        )
        (machine.folder / "nbest.txt").write_bytes(b"utt-1-1 the rain\r\nutt-1-2 the sun\r\n")
        rescored = machine.good("rescore", "nbest.txt", "--model", "x")
        assert b"utt-1" in rescored.out
        assert b"\r" not in rescored.out

    def test_generate_complete_and_memorized(self, machine: Machine) -> None:
        written = machine.good("generate", "--model", "x", "--prompt", "the", "--length", "40", "--seed", "1")
        assert len(written.out) >= 40
        turns = machine.good(
            "generate", "--model", "x", "--interactive", stdin=b"the rain\n/temp 0.5\n\n/help\n/quit\n"
        )
        assert "/reset" in turns.err
        assert turns.out.count(b"\n") >= 2
        assert machine.good("complete", "the", "--model", "x", "--json").json
        assert machine.good("memorized", "text.txt", "--model", "x", "--json").json

    def test_info_plot_and_verify(self, machine: Machine) -> None:
        info = machine.good("info", "x", "--json")
        assert info.json["name"] == "x"
        assert b"\r" not in info.out
        assert machine.good("info").out, "the newest model"
        assert machine.good("plot", "x").out
        machine.good("plot", "x", "--output", "curves.png")
        assert (machine.folder / "curves.png").read_bytes().startswith(b"\x89PNG")
        assert machine.good("verify", "models/x").out

    def test_doctor_and_help(self, machine: Machine) -> None:
        facts = machine.good("doctor", "--no-measure", "--json").json
        assert facts["memory_bytes"] > 0
        assert facts["processor"] == "Imitated Processor"
        manual = machine.good("manual").out
        assert b"rnncli" in manual
        assert b"\r" not in manual
        assert b"Usage" in machine.good("--help").out
        assert b"rnncli 0." in machine.good("--version").out

    def test_chinese_goes_through_pipes(self, machine: Machine) -> None:
        (machine.folder / "诗.txt").write_bytes(CHINESE.encode())
        machine.good("train", "诗.txt", "--name", "诗", "--steps", "3", "--level", "char", *SHAPE)
        written = machine.good(
            "generate", "--model", "诗", "--prompt", "-", "--length", "5", stdin="明月".encode()
        )
        assert written.out.decode("utf-8").startswith("明月")
        assert "诗.txt" in machine.good("info", "诗").out.decode("utf-8")
        assert machine.good("complete", "明", "--model", "诗", "--json").json
        missing = machine("info", "霜")
        assert "霜" in missing.err

    def test_names_that_windows_reserves_are_refused(self, machine: Machine) -> None:
        for name in ("nul", "con.", "Aux.txt", "com1"):
            refused = machine("train", "text.txt", "--name", name, "--steps", "1", *SHAPE)
            assert refused.code == 2
            assert "Windows reserves it" in refused.err
        (machine.folder / "con.txt").write_bytes(TEXT.encode())
        ran = machine.good("train", "con.txt", "--steps", "1", *SHAPE)
        assert ran.out == b"models/con-model\n"

    def test_a_reader_that_goes_away_ends_a_command_quietly(self, machine: Machine) -> None:
        ran = machine.into_closed_pipe("manual")
        assert ran.err == ""

    def test_a_person_runs_it(self, machine: Machine) -> None:
        """In a process of its own, with workers in processes of their own."""
        lines = "a line of some words, of which there are many\r\n" * 300_000
        (machine.folder / "long.txt").write_bytes(lines.encode())
        ran = machine.alone("tokenize", "long.txt", "--level", "word", "--workers", "2", "--json")
        assert ran.code == 0, ran.err
        assert ran.json["tokens"] > 10 * 300_000
        stopped = machine.with_workers(
            "tokenize", "long.txt", "-o", "no.tok", "--level", "word", "--workers", "2"
        )
        time.sleep(0.3)  # Windows loses it while the workers are started; they take longer to be at work
        os.killpg(stopped.pid, signal.SIGINT)  # a console sends it to every process
        _, said = stopped.communicate(timeout=100)
        assert (stopped.returncode, said) == (130, b"")
        assert not list(machine.folder.glob("*no.tok*"))
        (machine.folder / "long.txt").unlink()


def ended_by(machine: Machine, number: int, name: str) -> None:
    """A signal during a training saves it, and it can be resumed."""
    running = machine.start("train", "text.txt", "--name", name, *ENDLESS)
    until(lambda: steps(running))
    os.kill(running.process, number)
    ran = running.ended()
    assert ran.code == 128 + number, ran.err
    assert re.search(rf"saved=models.{name} ", ran.err)
    assert "Traceback" not in ran.err
    assert machine.good("info", name, "--json").json["status"] == "interrupted"
    machine.good("train", "--resume", name, "--steps", "+1")
    assert is_sound(machine, name)
