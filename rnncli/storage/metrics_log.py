"""metrics.jsonl: the events of a training, one JSON object per line."""

import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnncli import files
from rnncli.events import Event, to_json
from rnncli.files import has_type
from rnncli.storage.untrusted import open_file

# More than a training of weeks writes; larger files are refused.
MAX_LOG_BYTES = 2**30


def append_event(log: Path, event: Event) -> None:
    """Append an event as one line."""
    files.append_line(log, to_json({"event": type(event).__name__.lower(), **asdict(event)}))


def read_events(log: Path, folder: Path) -> Generator[dict[str, Any]]:
    """Yield every event of a log; lines that a crash cut, or that are not events, are skipped."""
    if not os.path.lexists(log):
        return
    with open_file(log, folder) as file:
        while line := file.readline(files.MAX_JSON_BYTES):
            with suppress(ValueError):
                event = files.parse_json_object(line)
                if _is_event(event):
                    yield event


def _is_event(line: dict[str, Any]) -> bool:
    """Whether the values that rnncli reads have their types: the file may be untrusted."""
    if not (has_type(line.get("step", 0), int) and has_type(line.get("event"), str)):
        return False
    score = line.get("score")
    return line.get("event") != "evaluated" or (
        "step" in line
        and isinstance(score, dict)
        and "nll_nats" in score
        and has_type(score["nll_nats"], float | None)
        and has_type(score.get("tokens"), int)
        and score["tokens"] > 0
    )
