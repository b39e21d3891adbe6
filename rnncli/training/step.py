"""One step of training: a window in, an update out. Shapes: B lanes, T time, P parameters."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_

from rnncli.data.batching import Window
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import fused_kernels
from rnncli.nn.language_model import LanguageModel
from rnncli.nn.network import DropoutMasks
from rnncli.nn.state import State
from rnncli.results import Score
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import ALONE, Ranks
from rnncli.training.optimizer import AdamW, gradient_of
from rnncli.training.regularization import penalize


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
    first step was taken, and do not count as progress. The rate is `rate_factor` times the schedule's
    and rises anew from the progress `warm_from`. `state` holds the lanes of all processes.
    """

    model: LanguageModel
    optimizer: AdamW
    rng: torch.Generator
    state: State
    step: int = 0
    seconds: float = 0.0
    first_step_seconds: float = 0.0
    validations: int = 0
    validated_step: int = 0
    validations_since_best: int = 0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0
    rate_factor: float = 1.0
    lowered_at_step: int = 0
    warm_from: float = 0.0
    best: Best | None = None

    @classmethod
    def new(
        cls,
        model: ModelConfig,
        config: TrainConfig,
        device: torch.device,
        weights: dict[str, Tensor] | None = None,
    ) -> "Run":
        """Fresh weights, or those given, and a fresh optimizer; a seed gives the same on every device."""
        language_model = LanguageModel.initialized(model, torch.Generator().manual_seed(config.seed))
        if weights is not None:
            language_model.load_state_dict(weights)
        language_model.to(device)
        return cls(
            model=language_model,
            optimizer=AdamW(language_model, config),
            rng=torch.Generator().manual_seed(config.seed),
            state=language_model.initial_state(config.batch_size),
            best=None if weights is None else Best(None, 0, weights),
        )


class Step(NamedTuple):
    """What came of one: mean nats per token, gradient norms by parameter (P,), and over all of them."""

    nats: float
    norms: Tensor
    norm: float

    @property
    def learned(self) -> bool:
        """Whether the weights have moved: not where loss or gradient are no numbers."""
        return math.isfinite(self.nats) and math.isfinite(self.norm)


def train_step(run: Run, window: Window, config: TrainConfig, rate: float, ranks: Ranks = ALONE) -> Step:
    """One window of truncated back-propagation through time (Williams and Peng 1990) and one update.

    The norms are those before clipping (Pascanu et al. 2013). Where they or the nats are not finite nothing
    is learned from the window and the memory is cleared, so that the weights stay sound. With several
    processes each takes its share of the lanes, and the sums over all of them are those of one process.
    """
    device = run.model.device
    lanes = len(window.targets)
    share = ranks.share(lanes)
    inputs, targets = (torch.from_numpy(array[share]).to(device) for array in (window.inputs, window.targets))
    state = run.state.map(lambda tensor: tensor[share])
    if window.fresh[share].any():  # in a quarter of the steps or so
        fresh = torch.from_numpy(window.fresh[share]).to(device)
        state = state.merge(
            run.model.initial_state(len(inputs)),
            lambda carried, empty: torch.where(fresh.view(-1, *[1] * (carried.dim() - 1)), empty, carried),
        )
    with precision_context(config, device):
        hidden, state = run.model.hidden(inputs, state, DropoutMasks(run.rng, lanes, share.start))
        penalize(hidden, targets, window.tokens, config)
        nats = run.model.mean_nats(hidden, targets, window.tokens)
    run.model.zero_grad()
    nats.backward()  # type: ignore[no-untyped-call]
    # Autocast may hand back bfloat16; the memory is kept in the precision of the weights.
    state = state.detach().map(torch.Tensor.float)
    nats, state = ranks.add_up(run.model, nats.detach(), state, share, lanes)
    gradients = [gradient_of(parameter) for parameter in run.model.parameters()]
    norms = torch.stack(torch._foreach_norm(gradients))  # in one call: a small model has its time in calls
    total = norms.norm()
    loss, norm = torch.stack([nats, total]).tolist()  # all that the device is waited for
    step = Step(loss, norms, norm)
    run.step += 1
    if step.learned:
        if norm > config.gradient_clip:  # seldom: a pass over all gradients that most steps are spared
            clip_grads_with_norm_(run.model.parameters(), config.gradient_clip, total)
        run.optimizer.step(rate)
        run.state = state
        run.skipped_in_a_row = 0
    else:
        run.skipped_steps += 1
        run.skipped_in_a_row += 1
        run.state = run.model.initial_state(lanes)
    return step


def norms_by_layer(model: LanguageModel, norms: Tensor) -> dict[str, float]:
    """(P,) -> the norm of each layer's gradient: {"embedding": ..., "layers.0": ..., "output": ...}.

    Over all members: their first layers count as one.
    """
    squares: dict[str, float] = {}
    for (name, _), norm in zip(model.named_parameters(), norms.tolist(), strict=True):
        _, _, *parts = name.split(".")  # members.0.layers.0.kernel.weight_hh_l0
        layer = ".".join(parts[:2]) if parts[0] == "layers" else parts[0].split("_")[0]
        squares[layer] = squares.get(layer, 0.0) + norm * norm
    return {layer: math.sqrt(square) for layer, square in sorted(squares.items())}


@contextmanager
def precision_context(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """bf16: products in bfloat16, weights and sums in float32; fused kernels too, where they are wanted."""
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"),
        fused_kernels(config.kernels == "fused"),
    ):
        yield


@contextmanager
def threads_of(config: TrainConfig) -> Iterator[None]:
    """Within it torch uses as many threads as the run does."""
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def weights_of(model: LanguageModel) -> dict[str, Tensor]:
    """A copy of the weights, on the processor."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
