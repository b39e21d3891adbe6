"""Early stopping: which weights are the best, and what happens when they stop improving.

With a budget, a run ends after `patience` validations without improvement. An open-ended run first continues
from the best weights at a lower learning rate, and ends when that does not help any more.
"""

from rnncli.events import Remark
from rnncli.metrics import Score
from rnncli.training.config import TrainConfig
from rnncli.training.divergence import diverged
from rnncli.training.state import BestWeights, TrainState, weights_of

# Factor on the learning rate at each lowering, and the lowest fraction of the peak that is still lowered.
_LR_FACTOR, _MIN_LR_FACTOR = 0.3, 0.01


def update_best(state: TrainState, score: Score) -> bool:
    """Keep the model's weights if their validation score is the best so far.

    The weights of a model that diverged are never kept: a rollback would return to them.

    Returns:
        Whether these weights are now the best.
    """
    best_score = state.best.score if state.best else None
    # A rollback to before the best step may come to that step again; its weights then replace the others.
    same_step = state.best is not None and state.best.step == state.step
    no_better = best_score is not None and score.nll_nats >= best_score.nll_nats and not same_step
    if diverged(state, score) or no_better:
        state.validations_since_best += 1
        return False
    state.best = BestWeights(score, state.step, weights_of(state.model))
    state.validations_since_best = 0
    return True


def patience_exhausted(state: TrainState, config: TrainConfig) -> bool:
    """Return whether `patience` validations in a row brought no improvement."""
    return config.patience is not None and state.validations_since_best >= config.patience


def may_lower_lr(state: TrainState, config: TrainConfig) -> bool:
    """Return whether a run whose patience is exhausted continues at a lower learning rate.

    Only an open-ended run does, unless the last lowering brought no improvement or the learning rate is
    too low already.
    """
    if not config.open_ended:
        return False
    lowered = state.lr_lowered_at_step
    return lowered == 0 or (state.best_step > lowered and state.lr_factor >= _MIN_LR_FACTOR)


def lower_lr(state: TrainState, config: TrainConfig) -> Remark:
    """Go back to the best weights and continue at a lower learning rate.

    Returns:
        A remark for the user.
    """
    best_step = state.best_step
    state.restore_best(config)
    state.lr_factor *= _LR_FACTOR
    state.lr_lowered_at_step = state.step
    return Remark(
        f"no improvement since step {best_step:,}; continuing from there at {state.lr_factor:.2g} times "
        "the learning rate"
    )
