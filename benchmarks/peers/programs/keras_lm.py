"""Keras as TensorFlow's "Text generation with an RNN" has it, or with rnncli's sizes: argument 2.

rnn         the tutorial's with a SimpleRNN in place of the GRU
tutorial    one GRU of 1,024, embedding 256, 64 samples of 100 characters, memory emptied at each, Adam
sizes       the layers, lanes, dropout and rate that rnncli took in the same round, Adam along a cosine; with
            carried memory half that rate, since at all of it one round of two diverged

Argument 3 is Keras's backend; on torch no memory is carried in training, where Keras 3 fails to. It trains by
`train_on_batch`, as fast as Keras gets here (benchmarks/keras_comparison.py). Scoring and writing carry the
memory, whatever the training does.
"""

import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
os.environ["KERAS_BACKEND"] = sys.argv[3]

import keras
import numpy as np
import task

keras.utils.set_random_seed(task.TASK["seed"])
TUTORIAL = sys.argv[2] in ("tutorial", "rnn")
CARRIED = not TUTORIAL and sys.argv[3] != "torch"
SYMBOLS = sorted(set(task.TRAIN + task.VALID))
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
LANES, WINDOW = (64, 100) if TUTORIAL else (task.PLAN["batch_size"], task.PLAN["bptt"])
RATE = 1e-3 if TUTORIAL else task.PLAN["learning_rate"] * (0.5 if CARRIED else 1.0)
if sys.argv[3] == "torch":
    import torch

    torch.set_num_threads(task.THREADS)


def encode(text):
    return np.array([IDS[symbol] for symbol in text], np.int32)


def built(lanes, window, stateful, source=None):
    """The network for so many lanes and steps, with the weights of another."""
    settings = {"return_sequences": True, "stateful": stateful}
    if TUTORIAL:
        cell = keras.layers.SimpleRNN if sys.argv[2] == "rnn" else keras.layers.GRU
        layers = [keras.layers.Embedding(len(SYMBOLS), 256), cell(1024, **settings)]
    else:
        cell = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[task.PLAN["cell"]]
        layers = [keras.layers.Embedding(len(SYMBOLS), task.PLAN["embedding_size"])]
        for _ in range(task.PLAN["num_layers"]):
            layers += [keras.layers.Dropout(task.PLAN["dropout"]), cell(task.PLAN["hidden_size"], **settings)]
        layers.append(keras.layers.Dropout(task.PLAN["dropout"]))
    inputs = keras.Input(batch_shape=(lanes, window), dtype="int32")
    model = keras.Sequential([inputs, *layers, keras.layers.Dense(len(SYMBOLS))])
    if source is not None:
        model.set_weights(source.get_weights())
    return model


def forget(model):
    for layer in model.layers:
        if hasattr(layer, "reset_state"):
            layer.reset_state()


def windows():
    """Samples in any order, or lanes whose memory goes on until their end, and whether they are new."""
    if TUTORIAL:
        samples = len(train) // (WINDOW + 1)
        cut = train[: samples * (WINDOW + 1)].reshape(samples, WINDOW + 1)
        order = np.random.default_rng(0).permutation(samples)[: samples // LANES * LANES]
        for rows in order.reshape(-1, LANES):
            yield cut[rows], False
    else:
        length = len(train) // LANES
        lanes = train[: length * LANES].reshape(LANES, length)
        for first in range(0, length - WINDOW - 1, WINDOW):
            yield lanes[:, first : first + WINDOW + 1], first == 0


task.imported()
task.tokenized(encode)
train, valid = encode(task.TRAIN), encode(task.VALID)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model = built(LANES, WINDOW, stateful=CARRIED)
model.compile(keras.optimizers.Adam(RATE, global_clipnorm=None if TUTORIAL else 1.0), loss, jit_compile=False)

began, batches, left = time.monotonic(), 0, iter(())
while (progress := (time.monotonic() - began) / task.SECONDS) < 1.0:
    window, new = next(left, (None, False))
    if window is None:
        left = windows()
        continue
    if new:
        forget(model)
    if not TUTORIAL:
        rate = RATE * min(progress / 0.05, 0.5 + 0.5 * np.cos(np.pi * progress))
        model.optimizer.learning_rate.assign(rate + 1e-5)
    model.train_on_batch(window[:, :-1], window[:, 1:])
    batches += 1
task.trained(batches * LANES * WINDOW, time.monotonic() - began)


def nats_of(ids):
    """With carried memory, in windows and what is left."""
    nats, whole = 0.0, (len(ids) - 1) // 1000 * 1000
    reader = built(1, 1000, True, model)
    for first in range(0, whole, 1000):
        logits = reader.predict_on_batch(ids[None, first : first + 1000])
        nats += 1000 * float(loss(ids[None, first + 1 : first + 1001], logits))
    if rest := len(ids) - 1 - whole:
        # Another network reads a little before it, as long as the first one's windows were.
        before = min(whole, 1000)
        logits = built(1, before + rest, False, model).predict_on_batch(ids[None, whole - before : -1])
        nats += rest * float(loss(ids[None, whole + 1 :], logits[:, before:]))
    return nats


task.scored(nats_of(valid), len(valid) - 1)


def prepared(number):
    """A network for so many texts that has been called once: it is not built while the clock runs."""
    writer = built(number, 1, True, model)
    writer.predict_on_batch(np.zeros((number, 1), np.int32))
    forget(writer)
    return writer


def drawn(writer, number):
    random = np.random.default_rng(1)
    for token in encode(task.PROMPT):
        logits = writer.predict_on_batch(np.full((number, 1), token, np.int32))
    while True:
        scores = logits[:, -1] / 0.8
        tokens = (scores + random.gumbel(size=scores.shape)).argmax(1)
        yield tokens
        logits = writer.predict_on_batch(tokens[:, None].astype(np.int32))


def first_of(writer, number):
    for _, tokens in zip(range(task.WRITTEN), drawn(writer, number)):
        yield SYMBOLS[tokens[0]]


task.wrote(first_of(prepared(1), 1))
many = prepared(task.STREAMS)
task.timed(
    "written_characters_per_second_of_256",
    task.STREAMS * task.WRITTEN,
    lambda: list(first_of(many, task.STREAMS)),
)


LONGEST = 1 + max(map(len, task.LINES))
scorer = built(64, LONGEST, False, model)
scorer.predict_on_batch(np.zeros((64, LONGEST), np.int32))


def score_lines():
    """64 at a time, padded to one length, as Keras wants them."""
    for first in range(0, len(task.LINES) - 63, 64):
        block = np.zeros((64, LONGEST + 1), np.int32)
        for row, line in enumerate(task.LINES[first : first + 64]):
            ids = encode(line + "\n")
            block[row, : len(ids)] = ids
        keras.ops.log_softmax(scorer.predict_on_batch(block[:, :-1]))


task.timed("scored_lines_per_second", len(task.LINES) // 64 * 64, score_lines)
task.done()
