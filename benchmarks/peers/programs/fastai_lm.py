"""fastai's AWD-LSTM with its own sizes (three layers of 1,152, embedding 400), from scratch, on characters.

As its tutorial has it: language_model_learner with drop_mult 0.5 and one cycle of the rate, along the clock.
"""

import time

import task
import torch
from fastai.text.all import (
    AWD_LSTM,
    Callback,
    CancelFitException,
    DataLoaders,
    LMDataLoader,
    TensorText,
    language_model_learner,
)

torch.set_num_threads(task.THREADS)
torch.manual_seed(task.TASK["seed"])
SYMBOLS = sorted(set(task.TRAIN + task.VALID))
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
RATE, BATCH, WINDOW = 3e-3, 64, 72


def encode(text):
    return TensorText([IDS[symbol] for symbol in text])


class UntilTime(Callback):
    """One cycle of the rate along the clock: up for a quarter of it, and down."""

    def before_fit(self):
        self.began, self.characters = time.monotonic(), 0

    def before_batch(self):
        if not self.training:
            return
        progress = (time.monotonic() - self.began) / task.SECONDS
        rate = RATE * (progress / 0.25 if progress < 0.25 else max(0.01, (1.0 - progress) / 0.75))
        self.learn.opt.set_hypers(lr=max(rate, RATE * 0.04))

    def after_batch(self):
        if not self.training:
            return
        self.characters += self.xb[0].numel()
        if time.monotonic() - self.began > task.SECONDS:
            raise CancelFitException


task.imported()
task.tokenized(encode)
loaders = [LMDataLoader([encode(text)], bs=BATCH, seq_len=WINDOW) for text in (task.TRAIN, task.VALID)]
loaders = DataLoaders(*loaders)
loaders.vocab = SYMBOLS
learner = language_model_learner(loaders, AWD_LSTM, pretrained=False, drop_mult=0.5)
timer = UntilTime()
with learner.no_bar(), learner.no_logging():
    learner.fit(1000, RATE, cbs=[timer])
    task.trained(timer.characters, time.monotonic() - timer.began)
    valid = LMDataLoader([encode(task.VALID)], bs=1, seq_len=1000)
    (mean,) = learner.validate(dl=valid)[:1]
task.scored(mean * len(task.VALID), len(task.VALID))

model = learner.model.eval()


def written():
    with torch.no_grad():
        model.reset()
        tokens = torch.tensor([[IDS[symbol] for symbol in task.PROMPT]])
        while True:
            logits = model(tokens)[0][:, -1]
            tokens = torch.multinomial(torch.softmax(logits / 0.8, -1), 1)
            yield SYMBOLS[int(tokens)]


task.wrote(piece for _, piece in zip(range(task.WRITTEN), written()))


def score_lines():
    with torch.no_grad():
        for line in task.LINES[:200]:
            model.reset()
            ids = torch.tensor([[IDS[symbol] for symbol in "\n" + line + "\n"]])
            torch.nn.functional.cross_entropy(model(ids[:, :-1])[0].flatten(0, 1), ids[0, 1:])


task.timed("scored_lines_per_second", min(200, len(task.LINES)), score_lines)
task.done()
