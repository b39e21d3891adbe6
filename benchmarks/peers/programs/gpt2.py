"""A GPT-2 from scratch, with transformers: argument 2.

sizes       four layers, as many weights as rnncli's network in the same round, windows of 128, 16 at a time
nanogpt     nanoGPT's recipe for a processor: four layers of 128, windows of 64, 12 at a time

AdamW at 1e-3 with a warm-up and a cosine along the clock, no dropout.
"""

import math
import sys
import time

import task
import torch
from torch.nn import functional
from transformers import GPT2Config, GPT2LMHeadModel

torch.set_num_threads(task.THREADS)
torch.manual_seed(task.TASK["seed"])
SYMBOLS = sorted(set(task.TRAIN + task.VALID))
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
if sys.argv[2] == "sizes":
    # A layer has 12 times the square of its width; four heads share a multiple of 32.
    WIDTH, WINDOW, BATCH = 32 * round(math.sqrt(task.PLAN["parameters"] / 48) / 32), 128, 16
else:
    WIDTH, WINDOW, BATCH = 128, 64, 12
RATE, WARM_UP = 1e-3, 0.05


def encode(text):
    return torch.tensor([IDS[symbol] for symbol in text])


config = GPT2Config(
    vocab_size=len(SYMBOLS),
    n_positions=2 * WINDOW,
    n_embd=WIDTH,
    n_layer=4,
    n_head=4,
    bos_token_id=0,
    eos_token_id=0,
)
config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
model = GPT2LMHeadModel(config)
task.imported()
task.tokenized(encode)
train, valid = encode(task.TRAIN), encode(task.VALID)
optimizer = torch.optim.AdamW(model.parameters(), RATE, betas=(0.9, 0.99), weight_decay=0.1)
began, steps = time.monotonic(), 0
while (progress := (time.monotonic() - began) / task.SECONDS) < 1.0:
    rate = RATE * min(progress / WARM_UP, 0.55 + 0.45 * math.cos(math.pi * progress))
    for group in optimizer.param_groups:
        group["lr"] = rate
    starts = torch.randint(len(train) - WINDOW - 1, (BATCH,)).tolist()
    tokens = torch.stack([train[start : start + WINDOW + 1] for start in starts])
    logits = model(tokens[:, :-1]).logits
    loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    steps += 1
task.trained(steps * BATCH * WINDOW, time.monotonic() - began)
model.eval()


def nats_of(ids):
    """Every character once, with half a window before it at least, but for the first ones."""
    half, total = WINDOW // 2, 0.0
    inputs, targets = ids[:-1], ids[1:]
    with torch.no_grad():
        logits = model(inputs[None, :WINDOW]).logits[0]
        total += float(functional.cross_entropy(logits, targets[:WINDOW], reduction="sum"))
        starts = list(range(half, len(inputs) - WINDOW + 1, half))
        for group in range(0, len(starts), 64):
            own = starts[group : group + 64]
            rows = torch.stack([inputs[start : start + WINDOW] for start in own])
            goals = torch.stack([targets[start + half : start + WINDOW] for start in own])
            logits = model(rows).logits[:, half:]
            total += float(functional.cross_entropy(logits.flatten(0, 1), goals.flatten(), reduction="sum"))
        scored = starts[-1] + WINDOW if starts else min(WINDOW, len(inputs))
        if scored < len(inputs):
            begin = max(0, len(inputs) - WINDOW)
            logits = model(inputs[None, begin:]).logits[0, scored - begin :]
            total += float(functional.cross_entropy(logits, targets[scored:], reduction="sum"))
    return total


task.scored(nats_of(valid), len(valid) - 1)


def written(number):
    with torch.no_grad():
        tokens = encode(task.PROMPT)[None].expand(number, -1)
        history, past, length = tokens, None, 0
        while True:
            if length + tokens.shape[1] > WINDOW:  # it has no place further: begin anew with the last half
                tokens, past = history[:, -WINDOW // 2 :], None
            out = model(tokens, past_key_values=past, use_cache=True)
            past = out.past_key_values
            length = past.get_seq_length()
            drawn = torch.multinomial(functional.softmax(out.logits[:, -1] / 0.8, -1), 1)
            history = torch.cat([history, drawn], 1)
            yield drawn[:, 0].tolist()
            tokens = drawn


def first_of(number):
    for _, tokens in zip(range(task.WRITTEN), written(number)):
        yield SYMBOLS[tokens[0]]


task.wrote(first_of(1))
task.timed(
    "written_characters_per_second_of_256", task.STREAMS * task.WRITTEN, lambda: list(first_of(task.STREAMS))
)


def score_lines():
    for line in task.LINES:
        nats_of(encode("\n" + line + "\n"))


task.timed("scored_lines_per_second", len(task.LINES), score_lines)
task.done()
