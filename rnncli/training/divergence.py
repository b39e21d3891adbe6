"""What the trainer does when training diverges: it skips bad steps, then rolls back to the best weights.

A step whose loss or gradient is not finite is skipped (training/step.py). Several of them in a row, or a
validation that is worse than guessing, mean that the weights are ruined. Then training continues from the
best weights with a new optimizer and half the learning rate.
"""

import math

from rnncli.events import Remark
from rnncli.metrics import Score
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import AdamW
from rnncli.training.state import TrainState

# One bad batch is skipped. So many in a row mean that the weights are no longer sound.
MAX_SKIPPED_IN_A_ROW = 5
_LR_FACTOR = 0.5
# In nats per token above a uniform guess: the first validations of a short run may lie slightly above it.
_GUESSING_MARGIN = 1.0


def diverged(state: TrainState, score: Score) -> bool:
    """Return whether a validation shows ruined weights: its loss is NaN, or far above that of guessing."""
    uniform_nats = math.log(state.model.config.vocab_size)
    return not score.nats_per_token < uniform_nats + _GUESSING_MARGIN


def must_roll_back(state: TrainState) -> bool:
    """Return whether too many steps in a row were skipped."""
    return state.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW


def rollback(state: TrainState, config: TrainConfig, progress: float) -> Remark:
    """Go back to the best weights, or the initial ones, with a new optimizer and half the learning rate.

    Args:
        state: The run; changed in place.
        config: The training configuration.
        progress: The fraction of the budget that is used; the warm-up begins again from there.

    Returns:
        A remark for the user.
    """
    state.restore_best(config)
    state.optimizer = AdamW(state.model, config)
    state.lr_factor *= _LR_FACTOR
    state.warmup_from = progress
    return Remark(
        f"training diverged at step {state.step:,}; continuing from the weights of step "
        f"{state.best_step:,} at {state.lr_factor:g} times the learning rate"
    )
