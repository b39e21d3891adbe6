"""Run when an emulated Python starts: processes that it starts are emulated too.

`sys.executable` is the program itself, which the operating system would start on the real processor, or not
at all. With the script that starts the emulator in its place, the workers of `multiprocessing` are emulated.
"""

import os
import sys

if "EMULATED_PYTHON" in os.environ:
    sys.executable = os.environ["EMULATED_PYTHON"]
