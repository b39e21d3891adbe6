"""What the planner chooses for a text, a budget and a machine whose throughput is given."""

from dataclasses import replace
from typing import Any

import pytest

from rnncli.errors import ConfigError, TrainingError
from rnncli.nn.config import ModelConfig
from rnncli.training.backends import BACKENDS
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.hardware import QUICK_BENCHMARK_SECONDS, HardwareProfile, measure_hardware
from rnncli.training.hyperparameters import Decision
from rnncli.training.overrides import Overrides
from rnncli.training.planner import Plan, affordable_level, make_plan
from tests.training.options import overrides_of

BOOK = CorpusSize("book.txt", "utf-8", "char", 65, 1_000_000, 110_000)
LEAFLET = CorpusSize("leaflet.txt", "utf-8", "char", 65, 20_000, 2_000)
VERSE = CorpusSize("verse.txt", "utf-8", "char", 11_000, 3_000_000, 300_000)
LAPTOP = HardwareProfile(30_000.0, "cpu")
# Without the fused kernels.
PLAIN = BACKENDS[:2]


def planned(corpus: CorpusSize = BOOK, profile: HardwareProfile = LAPTOP, **settings: Any) -> Plan:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return profile.tokens_per_second

    return make_plan(corpus, overrides_of(settings), profile, measure)


def test_the_default_budget_is_five_minutes() -> None:
    plan = planned()
    assert plan.training.seconds == 300.0
    assert plan.planned.seconds == pytest.approx(300.0)
    assert plan.planned.train_tokens is not None
    visits = plan.planned.train_tokens * plan.model.ensemble_size
    assert visits == pytest.approx(300 * 30_000, rel=0.1)


def test_more_time_allows_a_larger_hidden_size() -> None:
    sizes = [planned(seconds=seconds).model.hidden_size for seconds in (5.0, 60.0, 3600.0)]
    assert sizes == sorted(set(sizes))


def test_time_for_many_epochs_is_used_for_an_ensemble() -> None:
    models = [planned(seconds=seconds).model for seconds in (60.0, 600.0, 900.0, 36_000.0)]
    members = [model.ensemble_size for model in models]
    assert members[0] == 1 < members[1] < members[2] < members[3] == 8
    assert [model.hidden_size for model in models] == sorted(model.hidden_size for model in models)
    assert any("ensemble of" in reason for reason in planned(seconds=600.0).planned.reasons)


def test_the_measured_throughput_decides_the_ensemble_size() -> None:
    """The members share the tokens that the network itself can be trained on in the time."""

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return 20_000.0 if model.hidden_size > 256 else 200_000.0

    plan = make_plan(BOOK, overrides_of({"seconds": 600.0}), HardwareProfile(200_000.0, "cpu"), measure)
    assert plan.model.ensemble_size == 2  # 12 epochs
    assert plan.planned.tokens_per_second == 10_000.0
    assert plan.planned.epochs == pytest.approx(6.0, rel=0.1)


def test_ensembles_are_for_a_budget_of_time_and_their_size_can_be_given() -> None:
    assert planned(seconds=36_000.0, ensemble_size=1).model.ensemble_size == 1
    assert planned(epochs=100.0).model.ensemble_size == planned(steps=10**6).model.ensemble_size == 1
    assert planned(LEAFLET, seconds=600.0).model.ensemble_size == 8


def test_every_member_is_trained_for_all_epochs_of_a_short_text() -> None:
    """On a short text two networks with half the epochs each are worse than one: docs/recipes.md."""
    names = CorpusSize("names.txt", "utf-8", "char", 28, 200_000, 20_000)
    epochs = {seconds: seconds * 30_000 / names.train_tokens for seconds in (200.0, 300.0)}
    assert list(epochs.values()) == [30.0, 45.0]
    assert [planned(names, seconds=seconds).model.ensemble_size for seconds in epochs] == [1, 2]


def test_the_ensemble_fits_into_memory() -> None:
    ample, small = (
        planned(profile=HardwareProfile(30_000.0, "cpu", memory), seconds=36_000.0).model
        for memory in (64 * 10**9, 2 * 10**9)
    )
    assert ample.ensemble_size == 8
    assert 1 <= small.ensemble_size < 8
    assert small.hidden_size == ample.hidden_size


def test_a_network_that_is_too_small_is_enlarged_before_there_is_a_second_one() -> None:
    for seconds in (60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 3840.0):
        model = planned(seconds=seconds).model
        assert model.ensemble_size == 1 or model.recurrent_parameters > BOOK.train_tokens


def test_a_faster_machine_trains_a_larger_network() -> None:
    fast = HardwareProfile(3_000_000.0, "cuda")
    assert planned(profile=fast).model.hidden_size > planned().model.hidden_size


def test_a_short_text_gets_a_small_network_more_dropout_and_an_early_end() -> None:
    plan, book = planned(LEAFLET, seconds=3600.0), planned(seconds=3600.0)
    assert plan.model.hidden_size < book.model.hidden_size
    assert plan.model.dropout > book.model.dropout
    assert plan.planned.seconds < 400.0
    assert plan.training.steps is not None
    assert any("memorize" in reason for reason in plan.planned.reasons)


def test_activation_regularization_is_for_many_epochs_of_a_text_that_is_not_short() -> None:
    assert planned(BOOK).training.activation_regularization == 2.0
    assert planned(BOOK).training.temporal_regularization == 1.0
    assert planned(BOOK, epochs=4.0).training.activation_regularization == 2.0
    assert planned(BOOK, epochs=3.0).training.activation_regularization == 0.0
    assert planned(VERSE, epochs=3.0).training.activation_regularization == 2.0
    assert planned(VERSE, epochs=2.0).training.activation_regularization == 0.0
    assert planned(BOOK, epochs=1.0).training.activation_regularization == 0.0
    assert planned(BOOK, seconds=3600.0, epochs=1.0).training.activation_regularization == 0.0
    assert planned(BOOK, epochs=1.0, temporal_regularization=3.0).training.temporal_regularization == 3.0
    assert planned(LEAFLET).training.activation_regularization == 0.0
    assert planned(LEAFLET, temporal_regularization=3.0).training.temporal_regularization == 3.0
    assert planned(BOOK, temporal_regularization=0.0).training.temporal_regularization == 0.0


def test_the_throughput_is_measured_with_activation_regularization() -> None:
    seen = []

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        seen.append(training.activation_regularization)
        return 30_000.0

    make_plan(BOOK, overrides_of({"seconds": 300.0}), LAPTOP, measure)
    assert set(seen) == {2.0}


def test_the_limit_that_is_reached_first_decides_the_dropout() -> None:
    once = planned(BOOK, seconds=3600.0, epochs=1.0, ensemble_size=1)
    assert once.model.dropout == planned(BOOK, epochs=1.0).model.dropout
    assert once.model.hidden_size == planned(BOOK, epochs=1.0).model.hidden_size
    assert planned(BOOK, seconds=60.0, epochs=50.0).model == planned(BOOK, seconds=60.0).model


def test_a_large_vocabulary_has_tied_embeddings() -> None:
    plan = planned(VERSE)
    assert plan.model.tied_embeddings
    assert plan.model.embedding_size == plan.model.hidden_size


def test_characters_get_an_lstm_and_large_vocabularies_a_gru() -> None:
    assert planned(BOOK).model.cell == "lstm"
    assert planned(VERSE).model.cell == "gru"
    assert planned(VERSE, cell="rnn").model.cell == "rnn"


def test_every_choice_can_be_overridden() -> None:
    overrides: dict[str, Any] = {
        "cell": "lstm",
        "hidden_size": 48,
        "num_layers": 3,
        "embedding_size": 24,
        "dropout": 0.33,
        "tied_embeddings": False,
        "ensemble_size": 3,
        "batch_size": 5,
        "bptt": 17,
        "learning_rate": 0.5,
        "weight_decay": 0.2,
        "gradient_clip": 9.0,
        "activation_regularization": 5.0,
        "temporal_regularization": 6.0,
        "warmup": 0.5,
        "validations": 2,
        "validation_tokens": 123,
        "precision": "fp32",
        "seed": 9,
        "seconds": 77.0,
    }
    plan = planned(VERSE, **overrides)
    for name, value in overrides.items():
        config = plan.model if hasattr(plan.model, name) else plan.training
        assert getattr(config, name) == value, name


def test_a_run_counted_in_steps_does_not_depend_on_the_machine() -> None:
    slow, fast = (planned(steps=500, profile=HardwareProfile(speed, "cpu")) for speed in (100.0, 1e6))
    assert (slow.model, slow.training) == (fast.model, fast.training)


def test_epochs_become_steps() -> None:
    plan = planned(epochs=2.0, batch_size=10, bptt=100)
    assert plan.training.steps == 2000
    assert plan.training.seconds is None
    assert plan.planned.epochs == pytest.approx(2.0, rel=0.01)


def test_batches_shrink_until_a_tiny_text_fills_them() -> None:
    plan = planned(CorpusSize("line.txt", "utf-8", "char", 9, 9, 1))
    assert plan.training.batch_size * plan.training.bptt <= 9


def test_validations_take_a_small_fraction_of_the_time() -> None:
    for seconds in (10.0, 60.0, 300.0, 3600.0):
        plan = planned(VERSE, seconds=seconds)
        assert plan.training.validations * plan.validation_seconds < 0.1 * seconds


def test_a_model_that_does_not_fit_into_memory_is_an_error_before_it_is_built() -> None:
    with pytest.raises(TrainingError, match="MB of memory to train"):
        planned(profile=HardwareProfile(30_000.0, "cpu", 8 * 10**9), hidden_size=16_384, num_layers=64)


def test_the_hidden_size_fits_into_memory() -> None:
    ample, small = (
        planned(profile=HardwareProfile(1e6, "cpu", memory)) for memory in (64 * 10**9, 8 * 10**8)
    )
    assert small.model.hidden_size < ample.model.hidden_size
    assert small.planned.memory_bytes < 8 * 10**8
    assert any("would not fit into memory" in reason for reason in small.planned.reasons)


@pytest.mark.parametrize(
    "settings", [{"steps": 5, "epochs": 1.0}, {"epochs": 0.0}, {"epochs": float("nan")}], ids=str
)
def test_invalid_budgets_are_errors(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        planned(**settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"seconds": 0.0},
        {"steps": 0},
        {"batch_size": 0, "steps": 1},
        {"batch_size": -1, "steps": 1},
        {"batch_size": 10**9, "steps": 1},
        {"learning_rate": 0.0, "steps": 1},
        {"learning_rate": float("inf"), "steps": 1},
        {"learning_rate": float("nan"), "steps": 1},
        {"seed": -1, "steps": 1},
        {"seed": 2**64, "steps": 1},
        {"warmup": 1.0, "steps": 1},
        {"precision": "fp64", "steps": 1},
        {},
    ],
    ids=str,
)
def test_a_train_config_rejects_values_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TrainConfig(**settings)


@pytest.mark.parametrize(
    ("bf16", "fused", "chosen"),
    [
        (100.0, 100.0, ("fp32", "torch")),
        (105.0, 100.0, ("fp32", "torch")),
        (150.0, 150.0, ("bf16", "torch")),
        (150.0, 300.0, ("bf16", "fused")),
        (90.0, 120.0, ("bf16", "fused")),
    ],
)
def test_the_fastest_precision_and_kernels_are_used(
    bf16: float, fused: float, chosen: tuple[str, str]
) -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return {("fp32", "torch"): 100.0, ("bf16", "torch"): bf16}.get(
            (training.precision, training.kernels), fused
        )

    def found(profile: HardwareProfile, **settings: Any) -> tuple[str, str]:
        training = make_plan(BOOK, overrides_of(settings), profile, measure).training
        return training.precision, training.kernels

    capable = HardwareProfile(30_000.0, "cpu", backends=BACKENDS)
    assert found(capable) == found(capable, precision="auto", kernels="auto") == chosen
    assert found(capable, kernels="fused") == ("bf16", "fused")
    assert found(capable, precision="bf16", kernels="torch") == ("bf16", "torch")
    assert found(capable, precision="fp32") == ("fp32", "torch")
    assert found(LAPTOP) != ("bf16", "fused")
    with pytest.raises(ConfigError, match="fused"):
        found(LAPTOP, kernels="fused")
    with pytest.raises(ConfigError, match="fused"):
        found(capable, kernels="fused", hidden_size=100)


def test_a_text_too_long_for_the_budget_is_tokenized_to_subwords() -> None:
    assert affordable_level("char", characters=10**5, alphabet=65, overrides=Overrides(), profile=LAPTOP) == (
        "char",
        (),
    )
    level, (reason,) = affordable_level(
        "char", characters=10**9, alphabet=65, overrides=Overrides(), profile=LAPTOP
    )
    assert level == "subword"
    expected = "at this speed the budget covers fewer than 10 epochs of characters"
    assert reason == Decision("level", "subword", expected)
    assert str(reason) == f"level subword: {expected}"
    assert (
        affordable_level("word", characters=10**9, alphabet=65, overrides=Overrides(), profile=LAPTOP)[0]
        == "word"
    )


def test_characters_of_a_long_text_need_several_epochs_to_be_better_than_subwords() -> None:
    characters = 1_000_000
    twice, often = (
        overrides_of({"seconds": times * characters / LAPTOP.tokens_per_second}) for times in (2, 11)
    )
    assert (
        affordable_level("char", characters=characters, alphabet=65, overrides=twice, profile=LAPTOP)[0]
        == "subword"
    )
    assert (
        affordable_level("char", characters=characters, alphabet=65, overrides=often, profile=LAPTOP)[0]
        == "char"
    )
    assert (
        affordable_level("char", characters=characters, alphabet=6_000, overrides=twice, profile=LAPTOP)[0]
        == "char"
    )
    assert (
        affordable_level("char", characters=characters // 2, alphabet=65, overrides=twice, profile=LAPTOP)[0]
        == "char"
    )


def test_a_network_of_subwords_may_be_larger_than_one_of_as_many_words() -> None:
    words = CorpusSize("words.txt", "utf-8", "word", 2_500, 400_000, 40_000)
    wide, wider = (planned(corpus, seconds=120.0) for corpus in (words, replace(words, level="subword")))
    assert wide.model.hidden_size < wider.model.hidden_size


def test_a_few_steps_get_a_small_network() -> None:
    assert planned(steps=200).model.hidden_size < planned(steps=20_000).model.hidden_size
    assert planned(epochs=1.0).model.hidden_size < planned(epochs=50.0).model.hidden_size


@pytest.mark.parametrize("name", ["hidden_size", "embedding_size"])
def test_tied_embeddings_need_only_one_size_to_be_given(name: str) -> None:
    model = planned(tied_embeddings=True, **{name: 72}).model
    assert (model.hidden_size, model.embedding_size) == (72, 72)
    assert planned(tied_embeddings=True).model.tied_embeddings


def test_used_time_is_not_planned_again() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return 30_000.0

    early, late = (make_plan(BOOK, Overrides(), LAPTOP, measure, used_seconds=used) for used in (0.0, 100.0))
    assert late.planned.seconds == early.planned.seconds == 300.0
    assert late.planned.steps < 0.7 * early.planned.steps
    assert late.training.seconds == 300.0
    hurried = make_plan(BOOK, Overrides(), LAPTOP, measure, used_seconds=290.0)
    assert hurried.model.hidden_size < early.model.hidden_size, "ten seconds are left"


@pytest.mark.parametrize("speed", [1.0, 100.0, 3_000.0])
def test_fused_kernels_get_a_hidden_size_that_they_support(speed: float) -> None:
    capable = HardwareProfile(speed, "cpu", backends=BACKENDS)
    assert planned(profile=capable, kernels="fused").model.hidden_size % 64 == 0


def test_a_network_slower_than_predicted_is_replaced() -> None:
    """The throughput of a small network predicts that of a large one badly."""
    tried = []

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        tried.append(model.hidden_size)
        return 400_000.0 * (256 / model.hidden_size) ** 2.4

    overrides = overrides_of({"seconds": 300.0, "num_layers": 1})
    model = make_plan(BOOK, overrides, HardwareProfile(400_000.0, "cpu"), measure).model
    assert tried[0] > tried[-1] == model.hidden_size
    assert len(set(tried)) <= 3


def test_with_a_large_vocabulary_the_smallest_network_is_measured_first() -> None:
    """A prediction from a small vocabulary would choose a network so large that measuring it takes long."""
    tried = []

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        tried.append(model.hidden_size)
        weights = model.recurrent_parameters + model.vocab_size * model.hidden_size
        return 0.25 * 150_000.0 * (459_000 / weights) ** 0.8

    words = CorpusSize("words.txt", "utf-8", "word", 200_000, 4_000_000, 400_000)
    profile = HardwareProfile(150_000.0, "cpu")
    make_plan(replace(words, vocab_size=20_000), overrides_of({"seconds": 3600.0}), profile, measure)
    assert 64 not in tried
    tried.clear()
    model = make_plan(words, overrides_of({"seconds": 3600.0}), profile, measure).model
    assert [*dict.fromkeys(tried)] == [64, model.hidden_size]
    assert model.hidden_size > 64
    tried.clear()
    assert make_plan(words, overrides_of({"seconds": 60.0}), profile, measure).model.hidden_size == 64
    assert {*tried} == {64}
    tried.clear()
    make_plan(words, overrides_of({"steps": 10_000}), profile, measure)
    assert 64 not in tried, "no measurement decides"


def test_with_a_large_vocabulary_the_hidden_size_is_one_that_the_fused_kernels_support() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return 30_000.0

    words = CorpusSize("words.txt", "utf-8", "word", 9_000, 1_000_000, 100_000)
    for seconds in (5.0, 8.0, 12.0, 20.0, 30.0):
        fused = make_plan(
            words,
            overrides_of({"seconds": seconds}),
            HardwareProfile(30_000.0, "cpu", backends=BACKENDS),
            measure,
        )
        assert fused.model.hidden_size % 64 == 0
    plain = make_plan(words, overrides_of({"seconds": 8.0}), HardwareProfile(30_000.0, "cpu"), measure)
    assert plain.model.hidden_size == 96


def test_the_backend_of_the_smallest_network_is_not_assumed_for_a_large_one() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        faster = "fp32" if model.hidden_size == 64 else "bf16"
        return 30_000.0 if training.precision == faster else 15_000.0

    words = CorpusSize("words.txt", "utf-8", "word", 200_000, 4_000_000, 400_000)
    plan = make_plan(words, overrides_of({"seconds": 3600.0}), HardwareProfile(30_000.0, "cpu"), measure)
    assert plan.model.hidden_size > 64
    assert plan.training.precision == "bf16"


def test_two_networks_that_each_make_the_other_look_better_are_measured_once() -> None:
    tried = []

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        if training.precision == "fp32" and seconds != QUICK_BENCHMARK_SECONDS:
            tried.append(model.hidden_size)
        return 400_000.0 if model.hidden_size < 1024 else 15_000.0

    overrides = overrides_of({"seconds": 300.0, "num_layers": 1})
    plan = make_plan(BOOK, overrides, HardwareProfile(400_000.0, "cpu"), measure)
    assert len(tried) == len(set(tried)) == 2
    assert plan.model.hidden_size == min(tried)
    assert plan.planned.tokens_per_second * plan.model.ensemble_size == 400_000.0
    reason = f"hidden size {min(tried)}: {max(tried)}, measured, would see too few tokens"
    assert reason in plan.planned.reasons


def test_a_much_slower_backend_is_measured_only_briefly() -> None:
    tried = []

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        if seconds != QUICK_BENCHMARK_SECONDS:
            tried.append((model.hidden_size, training.kernels))
        return 30_000.0 if training.kernels == "torch" else 60_000.0

    overrides = overrides_of({"hidden_size": 192})
    profile = measure_hardware(measure, overrides, "cpu", None)
    assert tried == [(256, "fused")]
    tried.clear()
    assert make_plan(BOOK, overrides, profile, measure).training.kernels == "fused"
    assert tried == [(192, "fused")]
    tried.clear()
    assert make_plan(BOOK, overrides_of({"hidden_size": 100}), profile, measure).training.kernels == "torch"
    assert tried == [(100, "torch"), (100, "torch")], "100 is no multiple of 64"
    plan = make_plan(BOOK, overrides_of({"hidden_size": 192, "cell": "gru,mingru"}), profile, measure)
    assert "fused kernels for the loss and gated layers: the others have none" in plan.planned.reasons


def test_the_fastest_backend_of_the_reference_model_need_not_be_that_of_another() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        if model.hidden_size == 640:
            return {"torch": 30_000.0, "fused": 60_000.0}[training.kernels]
        return {"torch": 100_000.0, "fused": 95_000.0}[training.kernels]

    overrides = overrides_of({"hidden_size": 640})
    profile = measure_hardware(measure, overrides, "cpu", None)
    assert profile.tokens_per_second == 100_000.0
    assert make_plan(BOOK, overrides, profile, measure).training.kernels == "fused"


@pytest.mark.parametrize(
    ("speeds", "chosen"),
    [
        ({1: 20.0, 2: 30.0, 4: 40.0}, None),
        ({1: 20.0, 2: 43.0, 4: 40.0}, None),
        ({1: 20.0, 2: 60.0, 4: 40.0}, 2),
        ({1: 90.0, 2: 60.0, 4: 40.0}, 1),
    ],
)
def test_threads_are_halved_while_that_is_faster_by_a_tenth(
    speeds: dict[int, float], chosen: int | None
) -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return 1_000.0 * speeds[training.threads or 4]

    def found(**settings: Any) -> tuple[TrainConfig, bool]:
        overrides = overrides_of(settings)
        plan = make_plan(
            BOOK,
            overrides,
            measure_hardware(measure, overrides, "cpu", None, threads=4, backends=PLAIN),
            measure,
        )
        return plan.training, any("threads" in reason for reason in plan.planned.reasons)

    training, is_said = found(seconds=60.0)
    assert training.threads == chosen
    assert is_said == (chosen is not None)
    assert found(seconds=60.0, threads=2)[0].threads == 2
    assert found(steps=100)[0].threads is None, "a measurement decides nothing without a budget of time"


def test_more_epochs_mean_more_regularization() -> None:
    once, often = planned(epochs=1.0, hidden_size=256), planned(epochs=12.0, hidden_size=256)
    assert once.model.dropout < often.model.dropout
    assert once.training.weight_decay < often.training.weight_decay


@pytest.mark.parametrize(("hidden_size", "chosen"), [(192, ("bf16", "fused")), (100, ("fp32", "torch"))])
@pytest.mark.parametrize("budget", [{"steps": 500}, {"epochs": 2.0}, {"patience": 3}], ids=str)
@pytest.mark.parametrize("faster", ["fp32", "bf16"])
def test_no_measurement_decides_the_backend_of_a_run_without_a_budget_of_time(
    hidden_size: int, chosen: tuple[str, str], budget: dict[str, Any], faster: str
) -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return 90_000.0 if training.precision == faster else 30_000.0

    overrides = overrides_of({"hidden_size": hidden_size, **budget})
    profile = measure_hardware(measure, overrides, "cpu", None)
    training = make_plan(BOOK, overrides, profile, measure).training
    assert (training.precision, training.kernels) == chosen


def test_characters_of_a_long_text_get_two_layers() -> None:
    assert planned().model.num_layers == 2
    assert planned(cell="lstm").model.num_layers == 2
    assert planned(num_layers=1).model.num_layers == 1
    hasty = planned(seconds=30.0).model
    assert hasty.num_layers == 1, "two layers would have to be too small"
    assert planned(seconds=30.0, num_layers=2).model.hidden_size < hasty.hidden_size
    short = replace(BOOK, train_tokens=100_000, valid_tokens=10_000)
    large = replace(BOOK, vocab_size=10_000)
    for plan in (planned(short), planned(large), planned(cell="gru"), planned(cell="rnn")):
        assert plan.model.num_layers == 1
    assert planned(cell="gru,mingru").model.num_layers == 2


def test_the_plan_has_its_decisions_as_values_with_reasons() -> None:
    plan = planned(seconds=600.0)
    assert plan.planned.reasons == tuple(map(str, plan.decisions))
    chosen = {decision.name: decision.value for decision in plan.decisions}
    assert chosen["ensemble_size"] == plan.model.ensemble_size > 1
    assert all(decision.reason for decision in plan.decisions)
