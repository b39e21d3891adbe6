"""The state of a training run: all that is needed to resume it and get the same weights, bit for bit.

B is the batch size: rows of text that are read side by side, over all processes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.rnn import State
from rnncli.training.budget import Budget, Position
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import AdamW


@dataclass(frozen=True)
class BestWeights:
    """The weights with the lowest validation loss so far, on the CPU.

    Attributes:
        score: Their validation score; None if they were never validated.
        step: The step after which the model had them.
        weights: The tensors of the model's state dict, by name.
    """

    score: Score | None
    step: int
    weights: dict[str, Tensor]


@dataclass
class TrainState:
    """All that a resume needs. The trainer changes it in place and pauses only when it is consistent.

    Attributes:
        model: The model being trained.
        optimizer: AdamW and its moments.
        rng: Source of the dropout masks.
        hidden_state: State of the network at the end of the last batch, (B, ...), for all processes.
        step: Number of training steps taken, skipped ones included.
        seconds: Time used, over all resumes.
        first_step_seconds: Time that was used when the first step began.
        validations: Number of validations that were due so far.
        validated_step: The step of the last validation.
        validations_since_best: Number of validations since the best one.
        skipped_steps: Number of steps whose loss or gradient was not finite.
        skipped_in_a_row: Number of these since the last step that changed the weights.
        lr_factor: The learning rate is so many times that of the schedule.
        lr_lowered_at_step: The step at which early stopping last lowered the learning rate, or 0.
        warmup_from: The progress, from 0 to 1, at which the warm-up last began.
        best: The best weights so far; None before the first validation.
    """

    model: RNNLanguageModel
    optimizer: AdamW
    rng: torch.Generator
    hidden_state: State
    step: int = 0
    seconds: float = 0.0
    first_step_seconds: float = 0.0
    validations: int = 0
    validated_step: int = 0
    validations_since_best: int = 0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0
    lr_factor: float = 1.0
    lr_lowered_at_step: int = 0
    warmup_from: float = 0.0
    best: BestWeights | None = None

    @classmethod
    def new(
        cls,
        model: ModelConfig,
        config: TrainConfig,
        device: torch.device,
        weights: dict[str, Tensor] | None = None,
    ) -> "TrainState":
        """Return the state before the first step; the same seed gives the same state on every device.

        Args:
            model: The architecture.
            config: The training configuration.
            device: Where the model is trained.
            weights: A state dict to start from (fine-tuning); None: initialize the weights from the seed.
        """
        language_model = RNNLanguageModel.initialized(model, torch.Generator().manual_seed(config.seed))
        if weights is not None:
            language_model.load_state_dict(weights)
        language_model.to(device)
        return cls(
            model=language_model,
            optimizer=AdamW(language_model, config),
            rng=torch.Generator().manual_seed(config.seed),
            hidden_state=language_model.initial_state(config.batch_size),
            best=None if weights is None else BestWeights(None, 0, weights),
        )

    @property
    def position(self) -> Position:
        """How far the run has come."""
        return Position(self.step, self.seconds, self.first_step_seconds)

    @property
    def best_step(self) -> int:
        """The step of the best weights; 0 before the first validation."""
        return self.best.step if self.best else 0

    def extend(self, budget: Budget) -> None:
        """Prepare for a budget other than it had.

        The learning rate warms up again, from its place in the new budget. If early stopping had lowered it,
        it is back at that of the schedule.
        """
        if self.lr_lowered_at_step:
            self.lr_factor, self.lr_lowered_at_step = 1.0, 0
        if self.step == 0:
            self.first_step_seconds = self.seconds
        self.warmup_from = budget.progress(self.position)
        self.validations_since_best = 0

    def restore_best(self, config: TrainConfig) -> None:
        """Give the model the best weights, or its initial ones if there are none, and reset its state."""
        if self.best is None:
            rng = torch.Generator().manual_seed(config.seed)
            weights = RNNLanguageModel.initialized(self.model.config, rng).state_dict()
        else:
            weights = self.best.weights
        self.model.load_state_dict(weights)
        self.hidden_state = self.model.initial_state(config.batch_size)
        self.skipped_in_a_row = self.validations_since_best = 0


def weights_of(model: RNNLanguageModel) -> dict[str, Tensor]:
    """Return a copy of the model's state dict on the CPU."""
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
