"""NLTK's interpolated Kneser-Ney of order 6 over characters.

It counts once, however much time there is. Scoring takes milliseconds a character, so that only as many are
scored as half the training time allows, drawn from all over the text. What has no probability at all
counts as 1e-12.
"""

import math
import random
import time

import task
from nltk.lm import KneserNeyInterpolated
from nltk.util import everygrams

ORDER = 6
task.imported()
began = time.monotonic()
model = KneserNeyInterpolated(ORDER)
model.fit([everygrams(task.TRAIN, max_len=ORDER)], vocabulary_text=task.TRAIN)
task.trained(len(task.TRAIN), time.monotonic() - began)

places = list(range(len(task.VALID)))
random.Random(task.TASK["seed"]).shuffle(places)
nats, characters, began = 0.0, 0, time.monotonic()
while characters < len(places) and time.monotonic() - began < task.SECONDS / 2:
    place = places[characters]
    context = tuple(task.VALID[max(0, place - ORDER + 1) : place])
    nats -= math.log(max(model.score(task.VALID[place], context), 1e-12))
    characters += 1
task.scored(nats, characters)
task.answer("scored_characters", characters)
lines = characters * len(task.LINES) / sum(len(line) + 1 for line in task.LINES)
task.answer("scored_lines_per_second", lines / (time.monotonic() - began))


def written():
    text = list(task.PROMPT)
    while True:
        text.append(model.generate(text_seed=text[-ORDER + 1 :]))
        yield text[-1]


began, pieces = time.monotonic(), []
for piece in written():
    pieces.append(piece)
    if len(pieces) == 1:
        task.answer("first_character_seconds", time.monotonic() - began)
    if len(pieces) == task.WRITTEN or time.monotonic() - began > task.SECONDS / 4:
        break
task.answer("written_characters_per_second", len(pieces) / (time.monotonic() - began))
task.done()
