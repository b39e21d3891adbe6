"""Options of evaluation."""

import pytest

from rnncli.errors import ConfigError
from rnncli.evaluation.config import CacheOptions, DynamicOptions, EvaluationOptions
from rnncli.options import build


def test_an_option_of_dynamic_evaluation_or_of_the_cache_turns_it_on_even_with_its_default() -> None:
    assert not build(EvaluationOptions, {}).adaptive
    assert build(EvaluationOptions, {"dynamic": True}).dynamic_evaluation == DynamicOptions()
    assert build(EvaluationOptions, {"dynamic_lr": DynamicOptions.lr}).dynamic_evaluation == DynamicOptions()
    assert build(EvaluationOptions, {"cache": True}).neural_cache == CacheOptions()
    found = build(EvaluationOptions, {"cache_size": CacheOptions.size})
    assert found.neural_cache == CacheOptions()
    assert found.dynamic_evaluation is None


def test_what_is_tuned_is_not_given() -> None:
    assert build(EvaluationOptions, {"tune": True, "cache_size": 500}).neural_cache == CacheOptions(size=500)
    with pytest.raises(ConfigError, match="--tune finds --cache-weight itself"):
        build(EvaluationOptions, {"tune": True, "cache": True, "cache_weight": 0.5})
    with pytest.raises(ConfigError, match="nothing to tune"):
        build(EvaluationOptions, {"tune": True})
