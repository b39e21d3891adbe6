"""Variables with which every command computes on the processor, on a machine with a GPU too."""

# Of the commands that would take the GPU by themselves.
_COMMANDS = ("TRAIN", "COMPARE", "NGRAM", "EVAL", "SCORE", "RESCORE")
ON_PROCESSOR = {f"RNNCLI_{command}_DEVICE": "cpu" for command in _COMMANDS}
