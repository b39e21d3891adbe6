"""The cost model, against predictions worked out by hand from a given throughput."""

from dataclasses import replace

import pytest

from rnncli.evaluation.config import sampled_cost
from rnncli.nn.config import ModelConfig
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import (
    CorpusSize,
    LineSize,
    affordable_validation_tokens,
    budget_seconds,
    memory_bytes,
    predict,
    validation_seconds,
)

BOOK = CorpusSize("book.txt", "utf-8, gzip", "char", 65, 1_000_000, 100_000)
NAMES = CorpusSize("names.txt", "utf-8", "char", 28, 210_000, 23_000, LineSize(30_000, 16))
MODEL = ModelConfig(vocab_size=65, hidden_size=64)


def test_steps_take_as_long_as_their_tokens_and_validations() -> None:
    training = TrainConfig(steps=100, batch_size=10, bptt=50, validations=3)
    assert budget_seconds(
        BOOK, training, 1000.0, used_seconds=0.0, done_steps=0, validating_seconds=6.0
    ) == pytest.approx(50.0 + 6.0)
    assert budget_seconds(
        BOOK, training, 1000.0, used_seconds=7.0, done_steps=40, validating_seconds=6.0
    ) == pytest.approx(7.0 + 30.0 + 6.0)
    assert budget_seconds(
        BOOK, training, 1000.0, used_seconds=7.0, done_steps=500, validating_seconds=0.0
    ) == pytest.approx(7.0)


def test_steps_of_lines_take_as_long_as_their_mean_lines() -> None:
    training = TrainConfig(steps=100, batch_size=10, bptt=50, validations=3)
    assert budget_seconds(
        NAMES, training, 1000.0, used_seconds=0.0, done_steps=0, validating_seconds=0.0
    ) == pytest.approx(100 * 10 * 7 / 1000)


def test_the_limit_that_is_reached_first_is_predicted() -> None:
    training = TrainConfig(steps=100, seconds=20.0, batch_size=10, bptt=50)
    assert (
        budget_seconds(BOOK, training, 1000.0, used_seconds=0.0, done_steps=0, validating_seconds=0.0) == 20.0
    )
    assert budget_seconds(
        BOOK, training, 1e6, used_seconds=0.0, done_steps=0, validating_seconds=0.0
    ) == pytest.approx(0.05)


@pytest.mark.parametrize(("corpus", "tokens"), [(BOOK, 500), (NAMES, 70)])
def test_predicted_steps_tokens_and_epochs_agree(corpus: CorpusSize, tokens: int) -> None:
    training = TrainConfig(steps=100, batch_size=10, bptt=50, validations=3)
    planned = predict(corpus, MODEL, training, "cpu", tokens_per_second=1000.0, used_seconds=0.0)
    assert planned.steps == 100
    assert planned.train_tokens == 100 * tokens
    assert planned.epochs == pytest.approx(100 * tokens / corpus.train_tokens)
    assert planned.corpus_tokens == corpus.train_tokens + corpus.valid_tokens
    assert planned.encoding == corpus.encoding


def test_the_prediction_of_a_resumed_run_covers_what_is_left() -> None:
    training = TrainConfig(steps=100, batch_size=10, bptt=50, validations=1, validation_tokens=1)
    whole = predict(BOOK, MODEL, training, "cpu", tokens_per_second=1000.0, used_seconds=0.0)
    rest = predict(BOOK, MODEL, training, "cpu", tokens_per_second=1000.0, used_seconds=30.0, done_steps=60)
    assert whole.steps == rest.steps == 100
    assert rest.seconds == pytest.approx(30.0 + 20.0, abs=0.1)


def test_only_validations_still_to_come_take_time() -> None:
    timed = TrainConfig(seconds=100.0, batch_size=10, bptt=50, validations=10, validation_tokens=1)
    each = validation_seconds(timed, BOOK, 1000.0)
    rest = predict(BOOK, MODEL, timed, "cpu", tokens_per_second=1000.0, used_seconds=90.0, done_steps=160)
    assert rest.steps == 160 + round((10.0 - each) * 1000.0 / 500)
    whole = predict(BOOK, MODEL, timed, "cpu", tokens_per_second=1000.0, used_seconds=90.0)
    assert whole.steps == max(1, round((10.0 - 10 * each) * 1000.0 / 500)), "however long the planning took"


def test_reserved_time_is_not_predicted_for_training() -> None:
    timed = TrainConfig(seconds=100.0, batch_size=10, bptt=50, validations=1, validation_tokens=1)
    free, kept = (
        predict(
            BOOK, MODEL, timed, "cpu", tokens_per_second=1000.0, used_seconds=0.0, reserve_seconds=reserve
        )
        for reserve in (0.0, 40.0)
    )
    assert free.seconds == kept.seconds == 100.0
    assert free.steps is not None
    assert kept.steps == free.steps - 40 * 2
    counted = replace(timed, steps=10)
    assert (
        predict(
            BOOK, MODEL, counted, "cpu", tokens_per_second=1000.0, used_seconds=0.0, reserve_seconds=40.0
        ).steps
        == 10
    )


def test_a_validation_scores_no_more_than_the_validation_split() -> None:
    training = TrainConfig(steps=1, validation_tokens=10**9)
    assert (
        predict(BOOK, MODEL, training, "cpu", tokens_per_second=1000.0, used_seconds=0.0).validation_tokens
        == 100_000
    )
    fewer = TrainConfig(steps=1, validation_tokens=500)
    assert (
        predict(BOOK, MODEL, fewer, "cpu", tokens_per_second=1000.0, used_seconds=0.0).validation_tokens
        == 500
    )


@pytest.mark.parametrize("seconds", [0.5, 5.0, 50.0, 5000.0])
def test_an_affordable_validation_fits_its_time(seconds: float) -> None:
    tokens = affordable_validation_tokens(BOOK, 1000.0, seconds)
    assert 1 <= tokens <= BOOK.valid_tokens
    training = TrainConfig(steps=1, validation_tokens=tokens)
    assert validation_seconds(training, BOOK, 1000.0) <= seconds
    if tokens < BOOK.valid_tokens:
        assert sampled_cost(BOOK.valid_tokens, 2 * tokens) > seconds * 2 * 1000.0


def test_memory_grows_with_weights_batch_size_and_vocabulary() -> None:
    small = TrainConfig(steps=1, batch_size=8, bptt=16)
    large = TrainConfig(steps=1, batch_size=16, bptt=16)
    base = memory_bytes(MODEL, small, "cpu")
    assert memory_bytes(MODEL, large, "cpu") > base
    assert memory_bytes(ModelConfig(vocab_size=65, hidden_size=128), small, "cpu") > base
    assert memory_bytes(ModelConfig(vocab_size=6500, hidden_size=64), small, "cpu") > base


def test_memory_counts_the_inputs_of_a_qrnn_and_activation_regularization() -> None:
    training = TrainConfig(steps=1)
    deep = {"vocab_size": 65, "hidden_size": 512, "num_layers": 2}
    models = (ModelConfig(cell=cell, **deep) for cell in ("qrnn", "minlstm"))
    qrnn, minlstm = (memory_bytes(model, training, "cpu") for model in models)
    weights = 4 * 12 * 3 * 512 * (128 + 512)  # as many more as it has gates and inputs, in every copy
    assert qrnn - minlstm >= weights + 4 * 16 * 64 * 2 * (128 + 512)
    regularized = replace(training, temporal_regularization=1.0)
    assert memory_bytes(MODEL, regularized, "cpu") > memory_bytes(MODEL, training, "cpu")


def test_logits_take_bounded_memory_and_a_checkpoint_is_made_on_the_cpu() -> None:
    few, many = (TrainConfig(steps=1, batch_size=batch_size) for batch_size in (1024, 1025))
    large = ModelConfig(vocab_size=200_000, hidden_size=64)
    more = memory_bytes(large, many, "cpu") - memory_bytes(large, few, "cpu")
    assert 0 < more < 4 * many.bptt * large.vocab_size
    assert memory_bytes(large, few, "cuda") < memory_bytes(large, few, "cpu")
