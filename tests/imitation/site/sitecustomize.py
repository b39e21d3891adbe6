"""Python runs this file in every process that has its folder on PYTHONPATH, before anything else.

IMITATED_SYSTEM names the system to imitate. To try a command by hand:

    PYTHONPATH=tests/imitation/site IMITATED_SYSTEM=windows python -m rnncli train novel.txt --steps 3
"""

import importlib.util
import os
import sys
from pathlib import Path

# multiprocessing starts a process that only removes what others leave behind.
if not any("resource_tracker" in word for word in sys.orig_argv):
    place = Path(__file__).parent.parent / f"{os.environ['IMITATED_SYSTEM']}.py"
    spec = importlib.util.spec_from_file_location("imitation", place)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["imitation"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules["imitation"])
