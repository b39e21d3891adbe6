"""rnncli with nothing but a time: the command trains, its Python functions score and write."""

import json
import subprocess
import sys
import time

import task

import rnncli

command = [sys.executable, "-m", "rnncli", "train", task.TASK["train"], "--valid", task.TASK["valid"]]
command += ["--time", f"{task.SECONDS}s", "--name", "peer", "--quiet", "--json"]
ran = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
plan = ran["plan"]
task.answer("model", plan["architecture"])

model = rnncli.load("peer")
# To the first character, with all that writing needs; the others only import.
start = [sys.executable, "-m", "rnncli", "generate", "--prompt", task.PROMPT, "--length", "1", "--quiet"]
began = time.monotonic()
subprocess.run(start, stdout=subprocess.PIPE, check=True)
task.answer("start_up_seconds", time.monotonic() - began)
task.wrote(model.stream(task.PROMPT, length=task.WRITTEN))


def many() -> None:
    for _ in model.generate(task.PROMPT, task.STREAMS, length=task.WRITTEN):
        pass


task.timed("written_characters_per_second_of_256", task.STREAMS * task.WRITTEN, many)
evaluation = model.evaluate()
task.scored(evaluation.score.nats, evaluation.score.characters)
tokens = ran["step"] * plan["batch_size"] * plan["bptt"]
task.trained(tokens * evaluation.score.characters / evaluation.score.tokens, ran["seconds"])
task.timed("scored_lines_per_second", len(task.LINES), lambda: list(model.score(task.LINES)))
# Only the command makes stores: the time of its process, reading and hashing included.
tokenize = [sys.executable, "-m", "rnncli", "tokenize", task.TASK["train"], "-o", "peer.tok", "--quiet"]
task.tokenized(lambda _: subprocess.run(tokenize, check=True, stdout=subprocess.PIPE))
task.done()
