"""What is done when training goes wrong, or goes no further: back to the best weights, at a lower rate."""

import math

import torch

from rnncli.events import Noted
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Score
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import AdamW
from rnncli.training.step import Run

# One bad window is passed over. So many in a row mean that the weights are on their way to ruin.
MOST_SKIPPED_IN_A_ROW = 5
_LOWER, _LOWEST = 0.3, 0.01
# Nats above a uniform guess: the first validations of a short run may still lie a little above it.
_WORSE_THAN_GUESSING = 1.0


def diverged(run: Run, score: Score) -> bool:
    """Whether a validation says that nothing useful is left: no number, or far worse than guessing."""
    guessing = math.log(run.model.config.vocab_size)
    return not score.nats_per_token < guessing + _WORSE_THAN_GUESSING


def roll_back(run: Run, config: TrainConfig, progress: float) -> Noted:
    """Back to the best weights, or the first ones, with a fresh optimizer and half the rate."""
    step = run.best.step if run.best else 0
    _return_to_best(run, config)
    run.optimizer = AdamW(run.model, config)
    run.rate_factor *= 0.5
    run.warm_from = progress
    return Noted(
        f"training diverged at step {run.step:,}: it goes on from the weights of step {step:,}, "
        f"at {run.rate_factor:g} of the learning rate"
    )


def after_validation(
    run: Run, score: Score, config: TrainConfig, progress: float
) -> tuple[bool, Noted | None]:
    """Whether it was the last one; else what had to be done about it, if anything, and has been."""
    if progress >= 1.0:
        return True, None
    if diverged(run, score):
        return False, roll_back(run, config, progress)
    if config.patience is None or run.validations_since_best < config.patience:
        return False, None
    if not config.open_ended or lowered_in_vain(run):
        return True, None
    return False, lower_the_rate(run, config)


def lower_the_rate(run: Run, config: TrainConfig) -> Noted:
    """Without a budget the rate falls when validations stop getting better."""
    step = run.best.step if run.best else 0
    _return_to_best(run, config)
    run.rate_factor *= _LOWER
    run.lowered_at_step = run.step
    return Noted(
        f"nothing better since step {step:,}: it goes on from there, "
        f"at {run.rate_factor:.2g} of the learning rate"
    )


def lowered_in_vain(run: Run) -> bool:
    """Whether the last lowering brought nothing, or there is nothing left to lower."""
    found = run.best.step if run.best else 0
    return run.lowered_at_step > 0 and (found <= run.lowered_at_step or run.rate_factor < _LOWEST)


def _return_to_best(run: Run, config: TrainConfig) -> None:
    if run.best is None:
        first = LanguageModel.initialized(run.model.config, torch.Generator().manual_seed(config.seed))
        run.model.load_state_dict(first.state_dict())
    else:
        run.model.load_state_dict(run.best.weights)
    run.state = run.model.initial_state(config.batch_size)
    run.skipped_in_a_row = run.validations_since_best = 0
