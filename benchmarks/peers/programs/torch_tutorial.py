"""A plain PyTorch loop: the word_language_model example of pytorch/examples, its defaults, on characters.

Two layers of LSTM with 200 units, 20 lanes, windows of 35, SGD at 20 and a quarter of it whenever a
validation is no better (here on the text that is scored, in its favour), clipped at 0.25, dropout 0.2.
"""

import math
import time

import task
import torch
from torch import nn
from torch.nn import functional

torch.set_num_threads(task.THREADS)
torch.manual_seed(task.TASK["seed"])
SYMBOLS = sorted(set(task.TRAIN + task.VALID))
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
LANES, WINDOW, WIDTH, LAYERS, RATE, CLIP, DROPOUT = 20, 35, 200, 2, 20.0, 0.25, 0.2


def encode(text):
    return torch.tensor([IDS[symbol] for symbol in text])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(DROPOUT)
        self.encoder = nn.Embedding(len(SYMBOLS), WIDTH)
        self.rnn = nn.LSTM(WIDTH, WIDTH, LAYERS, dropout=DROPOUT)
        self.decoder = nn.Linear(WIDTH, len(SYMBOLS))
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.uniform_(self.decoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, tokens, state):
        out, state = self.rnn(self.drop(self.encoder(tokens)), state)
        return self.decoder(self.drop(out)), state


def lanes(text, number):
    ids = encode(text)
    length = len(ids) // number
    return ids[: length * number].view(number, length).t().contiguous()


task.imported()
task.tokenized(encode)
model = Model()
data, valid = lanes(task.TRAIN, LANES), lanes(task.VALID, 1)


def nats_of(data, window):
    model.eval()
    total, state = 0.0, None
    with torch.no_grad():
        for first in range(0, len(data) - 1, window):
            targets = data[first + 1 : first + 1 + window]
            logits, state = model(data[first : first + len(targets)], state)
            total += float(functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum"))
    model.train()
    return total


began, characters, rate, best, stop = time.monotonic(), 0, RATE, math.inf, False
while not stop:
    state = None
    for first in range(0, len(data) - 1, WINDOW):
        targets = data[first + 1 : first + 1 + WINDOW]
        model.zero_grad()
        if state is not None:
            state = tuple(part.detach() for part in state)
        logits, state = model(data[first : first + len(targets)], state)
        functional.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(parameter.grad, alpha=-rate)
        characters += targets.numel()
        if time.monotonic() - began > task.SECONDS:
            stop = True
            break
    seconds, nats = time.monotonic() - began, nats_of(valid, 1000)
    rate, best = (rate, nats) if nats < best else (rate / 4.0, best)
task.trained(characters, seconds)
task.scored(nats, len(valid) - 1)
model.eval()


def written(number):
    """Lists of so many characters, one of each text, by temperature 0.8."""
    with torch.no_grad():
        tokens = encode(task.PROMPT)[:, None].expand(-1, number)
        state = None
        while True:
            logits, state = model(tokens, state)
            tokens = torch.multinomial(functional.softmax(logits[-1] / 0.8, -1), 1).t()
            yield tokens[0].tolist()


def first_of(number):
    for _, tokens in zip(range(task.WRITTEN), written(number)):
        yield SYMBOLS[tokens[0]]


task.wrote(first_of(1))
task.timed(
    "written_characters_per_second_of_256", task.STREAMS * task.WRITTEN, lambda: list(first_of(task.STREAMS))
)


def score_lines():
    with torch.no_grad():
        for line in task.LINES:
            ids = encode("\n" + line + "\n" if "\n" in IDS else line)[:, None]
            logits, _ = model(ids[:-1], None)
            float(functional.cross_entropy(logits.flatten(0, 1), ids[1:].flatten(), reduction="sum"))


task.timed("scored_lines_per_second", len(task.LINES), score_lines)
task.done()
