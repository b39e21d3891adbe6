"""What the program of a peer is asked, and how it answers; the standard library only.

A program gets one JSON object as its argument and prints one line of JSON for every figure, so that what
was measured before a failure is kept. Its own packages are imported by it, not by whoever starts it.
"""

import json
import math
import resource
import sys
import time
from pathlib import Path

TASK = json.loads(sys.argv[1])
# Texts, and the seconds that training may take from its first step.
TRAIN = Path(TASK["train"]).read_text(encoding="utf-8")
VALID = Path(TASK["valid"]).read_text(encoding="utf-8")
SECONDS = TASK["seconds"]
THREADS = TASK["threads"]
# What rnncli took in the same round: cell, sizes, rate.
PLAN = TASK.get("plan")
PROMPT, WRITTEN, STREAMS = "The ", 400, 256
# Of the held-out part, what is scored line by line.
LINES = [line for line in VALID.split("\n") if line][:2000]


def answer(figure: str, value) -> None:
    """One figure, or what else is to be known; units are in its name."""
    sys.__stdout__.write(json.dumps({"figure": figure, "value": value}) + "\n")
    sys.__stdout__.flush()


def imported() -> None:
    """To be called when everything has been imported: the seconds since the process was started."""
    answer("start_up_seconds", time.monotonic() - TASK["started"])


def trained(characters: int, seconds: float) -> None:
    """So many characters of text were read, repetitions counted."""
    answer("trained_characters_per_second", characters / seconds)
    answer("training_seconds", seconds)


def scored(nats: float, characters: int) -> None:
    """-ln p of so many characters of the held-out part."""
    answer("bits_per_character", nats / characters / math.log(2.0))


def wrote(pieces) -> str:
    """Consume an iterator of characters of one text: the first, and then as many as WRITTEN."""
    began = time.monotonic()
    first, text = None, []
    for piece in pieces:
        if first is None:
            first = time.monotonic() - began
        text.append(piece)
    seconds = time.monotonic() - began - first
    answer("first_character_seconds", first)
    answer("written_characters_per_second", (len("".join(text)) - 1) / seconds)
    return "".join(text)


def timed(figure: str, amount: float, work) -> None:
    """Call `work` and say how much of `amount` it does in a second."""
    began = time.monotonic()
    work()
    answer(figure, amount / (time.monotonic() - began))


def tokenized(encode) -> None:
    """How fast the training part becomes ids."""
    timed("tokenized_megabytes_per_second", len(TRAIN.encode()) / 1e6, lambda: encode(TRAIN))


def done() -> None:
    """The most memory that a process had, in bytes."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    answer("peak_bytes", max(resource.getrusage(kind).ru_maxrss for kind in kinds) * 1024)
