"""The training loop: a generator of reports that neither prints nor saves. Shapes: B lanes, T time.

It pauses at every report with its Run whole, so that whoever consumes the reports may save it, show
it, write a sample with it, or stop.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from rnncli.model.acceleration import fused_kernels
from rnncli.model.config import ModelConfig
from rnncli.model.cross_entropy import mean_nats
from rnncli.model.language_model import LanguageModel
from rnncli.model.recurrent import State
from rnncli.reports import Evaluated, Score, Stepped
from rnncli.text.lanes import Window, Windows
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import adamw
from rnncli.training.schedule import learning_rate

# Often enough to answer Ctrl-C at once and to move a bar smoothly, too seldom to cost anything.
REPORT_SECONDS = 0.1

Clock = Callable[[], float]
Validate = Callable[[LanguageModel], Score]


@dataclass(frozen=True)
class Best:
    """The weights with the lowest validation score so far, on the processor; a None score is unknown."""

    score: Score | None
    step: int
    weights: dict[str, Tensor]


@dataclass
class Run:
    """Everything that a resume needs.

    `seconds` counts the budget used, over all resumes; `first_step_seconds` of it were gone when the
    first step was taken, and do not count as progress.
    """

    model: LanguageModel
    optimizer: torch.optim.Optimizer
    rng: torch.Generator
    state: State
    step: int = 0
    seconds: float = 0.0
    first_step_seconds: float = 0.0
    validations: int = 0
    validated_step: int = 0
    skipped_steps: int = 0
    best: Best | None = None

    @classmethod
    def new(cls, model: ModelConfig, config: TrainConfig, device: torch.device) -> "Run":
        """Fresh weights and a fresh optimizer; the same seed gives the same weights on every device."""
        language_model = LanguageModel.initialized(model, torch.Generator().manual_seed(config.seed))
        language_model.to(device)
        return cls(
            model=language_model,
            optimizer=adamw(language_model, config),
            rng=torch.Generator().manual_seed(config.seed),
            state=language_model.initial_state(config.batch_size),
        )


def train(
    run: Run,
    windows: Windows,
    config: TrainConfig,
    validate: Validate,
    validation_seconds: float = 0.0,
    clock: Clock = time.monotonic,
) -> Iterator[Stepped | Evaluated]:
    """Go on with `run` until its budget is used up; after the last step comes an Evaluated.

    `validate` scores the held-out part; `validation_seconds` is a first guess at how long that
    takes, so that a time budget has room for the last one.
    """
    began = clock() - run.seconds
    if run.step == 0:
        run.first_step_seconds = run.seconds
    # A larger budget than before moves the validations apart.
    passed = math.floor(_progress(run, config, validation_seconds) * config.validations)
    run.validations = min(run.validations, passed)
    since_report, since_validation = _Meter(clock()), _Meter(clock())
    while True:
        progress = _progress(run, config, validation_seconds)
        due = math.floor(progress * config.validations)
        if due > run.validations and run.step > run.validated_step:
            validation_began = clock()
            score = validate(run.model)
            validation_seconds = clock() - validation_began
            run.seconds = clock() - began
            run.validations, run.validated_step = due, run.step
            best = _keep_best(run, score)
            epoch = run.step / windows.windows_per_epoch
            yield Evaluated(run.step, epoch, run.seconds, since_validation.mean(), score, best)
            since_report, since_validation = _Meter(clock()), _Meter(clock())
        elif progress >= 1.0:
            return
        else:
            rate = learning_rate(progress, config)
            window = windows[run.step]
            loss, norm = train_step(run, window, config, rate)
            run.seconds = clock() - began
            since_report.add(loss, window.tokens)
            since_validation.add(loss, window.tokens)
            if clock() - since_report.began >= REPORT_SECONDS:
                progress = _progress(run, config, validation_seconds)
                yield _stepped(run, windows, since_report, clock(), progress, rate, norm)
                since_report = _Meter(clock())


def train_step(run: Run, window: Window, config: TrainConfig, rate: float) -> tuple[Tensor, float]:
    """One window of truncated back-propagation through time (Williams and Peng 1990) and one update.

    Returns the mean nats per token, still on its device, and the norm of the gradient before
    clipping (Pascanu et al. 2013). Where that is not finite nothing is learned from the window and
    the memory is cleared, so that the weights stay sound.
    """
    device = run.model.device
    inputs, targets, fresh = (
        torch.from_numpy(array).to(device) for array in (window.inputs, window.targets, window.fresh)
    )
    state = run.state.merge(
        run.model.initial_state(len(inputs)),
        lambda carried, empty: torch.where(fresh[:, None], empty, carried),
    )
    with precision_context(config, device):
        hidden, state = run.model.hidden(inputs, state, run.rng)
        loss = mean_nats(
            hidden.flatten(0, 1),
            run.model.output_matrix,
            run.model.output_bias,
            targets.flatten(),
            window.tokens,
        )
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    norm = float(torch.nn.utils.clip_grad_norm_(run.model.parameters(), config.gradient_clip))
    run.step += 1
    if math.isfinite(norm):
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        run.optimizer.step()
        # Autocast may hand back bfloat16; the memory is kept in the precision of the weights.
        run.state = state.detach().map(torch.Tensor.float)
    else:
        run.skipped_steps += 1
        run.state = run.model.initial_state(len(inputs))
    return loss.detach(), norm


@contextmanager
def precision_context(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """bf16 computes matrix products in bfloat16 and keeps weights and sums in float32."""
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"),
        fused_kernels(config.kernels == "fused"),
    ):
        yield


class _Meter:
    """The mean nats per token since an instant, summed on the device so that no step waits for it."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.tokens = 0
        self._nats: Tensor | float = 0.0

    def add(self, loss: Tensor, tokens: int) -> None:
        self.tokens += tokens
        self._nats = self._nats + loss * tokens

    def mean(self) -> float:
        return float(self._nats) / self.tokens if self.tokens else math.nan


def _stepped(
    run: Run, windows: Windows, meter: _Meter, now: float, progress: float, rate: float, norm: float
) -> Stepped:
    return Stepped(
        step=run.step,
        epoch=run.step / windows.windows_per_epoch,
        seconds=run.seconds,
        progress=progress,
        nats_per_token=meter.mean(),
        tokens_per_second=meter.tokens / (now - meter.began),
        learning_rate=rate,
        gradient_norm=norm,
        skipped_steps=run.skipped_steps,
    )


def _progress(run: Run, config: TrainConfig, validation_seconds: float) -> float:
    """The part of the budget used up, 0..1: 0 at the first step, however short the time.

    A time budget keeps room for the last validation.
    """
    by_steps = run.step / config.steps if config.steps is not None else 0.0
    if config.seconds is None:
        return min(by_steps, 1.0)
    trainable_seconds = config.seconds - validation_seconds - run.first_step_seconds
    by_time = (run.seconds - run.first_step_seconds) / max(trainable_seconds, 1e-9)
    return min(max(by_steps, by_time), 1.0)


def _keep_best(run: Run, score: Score) -> bool:
    """Not-a-number never counts as better; the first finite score always does."""
    known = run.best.score if run.best else None
    if not math.isfinite(score.nats) or (known and score.nats >= known.nats):
        return False
    run.best = Best(score, run.step, weights_of(run.model))
    return True


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    """A copy of the weights, on the processor."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
