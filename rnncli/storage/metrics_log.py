"""metrics.jsonl: the reports of a training, a line each."""

import os
from collections.abc import Generator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rnncli import files, strict
from rnncli.events import Report, to_json
from rnncli.storage.safe_load import open_file
from rnncli.strict import is_of

# Of a training of weeks; what is larger is somebody's jest.
MOST_BYTES = 2**30


def append_report(log: Path, report: Report) -> None:
    """One report as a line."""
    files.append_line(log, to_json({"report": type(report).__name__.lower(), **asdict(report)}))


def read_reports(log: Path, folder: Path) -> Generator[dict[str, Any]]:
    """Every report in a log of that folder; a line torn by a crash, or of another kind, is passed over."""
    if not os.path.lexists(log):
        return
    with open_file(log, folder) as file:
        while line := file.readline(strict.LARGEST_BYTES):
            with suppress(ValueError):
                report = strict.parsed(line)
                if _is_report(report):
                    yield report


def _is_report(line: dict[str, Any]) -> bool:
    """Whether what is read of it has its type: the file may be a stranger's."""
    if not (is_of(line.get("step", 0), int) and is_of(line.get("report"), str)):
        return False
    score = line.get("score")
    return line.get("report") != "evaluated" or (
        "step" in line
        and isinstance(score, dict)
        and "nats" in score
        and is_of(score["nats"], float | None)
        and is_of(score.get("tokens"), int)
        and score["tokens"] > 0
    )
