"""Keras as TensorFlow's "Text generation with an RNN" has it, or with rnncli's sizes: argument 2.

tutorial    one GRU of 1,024, embedding 256, 64 samples of 100 characters, memory emptied at each, Adam
sizes       two layers of LSTM with 384, dropout 0.2, 16 lanes of 64 with carried memory, Adam along a cosine
"""

import os
import sys
import time

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"

import keras
import numpy as np
import task
import tensorflow as tf

keras.utils.set_random_seed(task.TASK["seed"])
TUTORIAL = sys.argv[2] == "tutorial"
SYMBOLS = sorted(set(task.TRAIN + task.VALID))
IDS = {symbol: number for number, symbol in enumerate(SYMBOLS)}
LANES, WINDOW = (64, 100) if TUTORIAL else (16, 64)
RATE = 1e-3 if TUTORIAL else 4e-3


def encode(text):
    return np.array([IDS[symbol] for symbol in text], np.int32)


EMBEDDING = keras.layers.Embedding(len(SYMBOLS), 256 if TUTORIAL else 128)
if TUTORIAL:
    CELLS = [keras.layers.GRU(1024, return_sequences=True, return_state=True)]
else:
    CELLS = [keras.layers.LSTM(384, return_sequences=True, return_state=True) for _ in range(2)]
DROP, OUT = keras.layers.Dropout(0.0 if TUTORIAL else 0.2), keras.layers.Dense(len(SYMBOLS))
STATES = len(CELLS) * (1 if TUTORIAL else 2)
WIDTH = 1024 if TUTORIAL else 384


def whole(batch, window):
    """(tokens, states) -> (logits, states)"""
    tokens = keras.Input(batch_shape=(batch, window), dtype="int32")
    given = [keras.Input(batch_shape=(batch, WIDTH)) for _ in range(STATES)]
    hidden, left, kept = DROP(EMBEDDING(tokens)), list(given), []
    for cell in CELLS:
        own = [left.pop(0) for _ in range(STATES // len(CELLS))]
        hidden, *after = cell(hidden, initial_state=own)
        hidden = DROP(hidden)
        kept += after
    return keras.Model([tokens, *given], [OUT(hidden), *kept])


def zeros(batch):
    return [tf.zeros((batch, WIDTH)) for _ in range(STATES)]


def called(model):
    return tf.function(lambda tokens, states: model([tokens, *states], training=False))


task.imported()
task.tokenized(encode)
train, valid = encode(task.TRAIN), encode(task.VALID)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
inner, optimizer = whole(LANES, WINDOW), keras.optimizers.Adam(RATE)
empty = zeros(LANES)


@tf.function
def step(tokens, targets, states):
    with tf.GradientTape() as tape:
        logits, *after = inner([tokens, *states], training=True)
        value = loss(targets, logits)
    gradients = tape.gradient(value, inner.trainable_variables)
    if not TUTORIAL:
        gradients, _ = tf.clip_by_global_norm(gradients, 1.0)
    optimizer.apply(gradients, inner.trainable_variables)
    return after


def windows():
    """Samples in any order, each from an empty memory; or lanes, whose memory goes on until their end."""
    if TUTORIAL:
        samples = len(train) // (WINDOW + 1)
        cut = train[: samples * (WINDOW + 1)].reshape(samples, WINDOW + 1)
        for rows in (
            np.random.default_rng(0).permutation(samples)[: samples // LANES * LANES].reshape(-1, LANES)
        ):
            yield cut[rows], True
    else:
        length = len(train) // LANES
        lanes = train[: length * LANES].reshape(LANES, length)
        for first in range(0, length - WINDOW - 1, WINDOW):
            yield lanes[:, first : first + WINDOW + 1], first == 0


began, batches, left, states = time.monotonic(), 0, iter(()), empty
while (progress := (time.monotonic() - began) / task.SECONDS) < 1.0:
    window, fresh = next(left, (None, None))
    if window is None:
        left = windows()
        continue
    if not TUTORIAL:
        optimizer.learning_rate = RATE * min(progress / 0.05, 0.5 + 0.5 * np.cos(np.pi * progress)) + 1e-5
    states = step(tf.constant(window[:, :-1]), tf.constant(window[:, 1:]), empty if fresh else states)
    batches += 1
seconds = time.monotonic() - began
task.trained(batches * LANES * WINDOW, seconds)


def nats_of(ids, model, window):
    """With carried memory; what is left of the last window is not scored."""
    total, states, count, call = 0.0, zeros(1), 0, called(model)
    for first in range(0, len(ids) - window, window):
        logits, *states = call(ids[None, first : first + window], states)
        total += window * float(loss(ids[None, first + 1 : first + window + 1], logits))
        count += window
    return total, count


task.scored(*nats_of(valid, whole(1, 1000), 1000))


def drawn(number):
    random = np.random.default_rng(1)
    call, states = called(whole(number, 1)), zeros(number)
    for token in encode(task.PROMPT):
        logits, *states = call(tf.fill((number, 1), tf.constant(token)), states)
    while True:
        scores = logits.numpy()[:, -1] / 0.8
        tokens = (scores + random.gumbel(size=scores.shape)).argmax(1)
        yield tokens
        logits, *states = call(tf.constant(tokens[:, None], tf.int32), states)


def first_of(number):
    for _, tokens in zip(range(task.WRITTEN), drawn(number)):
        yield SYMBOLS[tokens[0]]


task.wrote(first_of(1))
task.timed(
    "written_characters_per_second_of_256", task.STREAMS * task.WRITTEN, lambda: list(first_of(task.STREAMS))
)


def score_lines():
    """Padded to one length, as Keras wants them."""
    longest = 100
    call = called(whole(64, longest))
    for first in range(0, len(task.LINES) - 63, 64):
        block = np.zeros((64, longest + 1), np.int32)
        for row, line in enumerate(task.LINES[first : first + 64]):
            ids = encode(line[:longest] + "\n")
            block[row, : len(ids)] = ids
        logits, *_ = call(tf.constant(block[:, :-1]), zeros(64))
        keras.ops.log_softmax(logits)


task.timed("scored_lines_per_second", len(task.LINES) // 64 * 64, score_lines)
task.done()
