"""The model card: README.md of a model folder."""

from rnncli import __version__
from rnncli.events import Planned
from rnncli.results import Score


def model_card(name: str, planned: Planned, step: int, score: Score | None) -> str:
    """What a model is, how good, and how to use it, in Markdown."""
    figures = "It has no validation score."
    if score is not None:
        figures = (
            f"As watched in training, on {score.characters:,} characters of the held-out part:\n"
            f"{score.bits_per_character:.4f} bits per character, {score.bits_per_byte:.4f} bits per byte, "
            f"token perplexity {score.token_perplexity:.3f}.\n`rnncli eval` gives the exact figures."
        )
    return f"""# {name}

A recurrent language model made by rnncli {__version__} from {planned.corpus}.

- {planned.architecture}, {planned.parameters:,} parameters
- level {planned.level}, {planned.vocab_size:,} symbols
- weights of step {step:,}

{figures}

    rnncli generate --model {name}
    rnncli eval --model {name}
"""
