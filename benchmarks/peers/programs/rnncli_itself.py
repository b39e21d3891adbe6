"""rnncli with nothing but a time: the command trains, its Python functions score and write.

It holds out a fiftieth of the training part, lines from all over it, to choose its weights by: the text that
is scored has no say in anything, and the names in it are those that the others have read.
"""

import json
import subprocess
import sys
import time

import task

import rnncli


def command(*arguments):
    run = [sys.executable, "-m", "rnncli", *arguments, "--quiet"]
    return subprocess.run(run, stdout=subprocess.PIPE, check=True).stdout


seed = str(task.TASK["seed"])
train = ("train", task.TASK["train"], "--time", f"{task.SECONDS}s", "--name", "peer", "--seed", seed)
train += ("--split-method", "lines", "--valid-fraction", "0.02")
ran = json.loads(command(*train, "--json"))
described = json.loads(subprocess.check_output([sys.executable, "-m", "rnncli", "info", "peer", "--json"]))
sizes, training = described["model"], described["training"]
of_model = ("cell", "num_layers", "hidden_size", "embedding_size", "dropout")
of_training = ("batch_size", "bptt", "learning_rate")
plan = {name: sizes[name] for name in of_model} | {name: training[name] for name in of_training}
task.answer("plan", plan | {"parameters": described["parameters"], "architecture": described["architecture"]})

model = rnncli.load("peer")
began = time.monotonic()
command("generate", "--prompt", task.PROMPT, "--length", "1")
task.answer("start_up_seconds", time.monotonic() - began)
for _ in model.stream(length=1):  # the weights are read
    pass


def written():
    yield from model.stream(task.PROMPT, length=task.WRITTEN)


task.wrote(written())
many = ("written_characters_per_second_of_256", task.STREAMS * task.WRITTEN)
task.timed(*many, lambda: list(model.generate(task.PROMPT, number=task.STREAMS, length=task.WRITTEN)))
score = model.evaluate(task.VALID).score
task.scored(score.nll_nats, score.characters)
tokens = ran["step"] * plan["batch_size"] * plan["bptt"]
task.trained(tokens * score.characters / score.tokens, ran["seconds"])
task.timed("scored_lines_per_second", len(task.LINES), lambda: list(model.score(task.LINES)))
# Only the command makes stores: the time of its process, with reading, hashing and writing.
task.tokenized(lambda _: command("tokenize", task.TASK["train"], "-o", "peer.tok"))
task.done()
