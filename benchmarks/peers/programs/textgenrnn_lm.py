"""textgenrnn 2.0: its import needs a Keras from before Python 3.11, and its row says so."""

import task
import textgenrnn  # noqa: F401

task.imported()
raise SystemExit("it can be imported again: measure it")
