"""What a benchmark found, kept as JSON with the machine, the commit and the text that it is of."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """What `rnncli doctor` says and measures."""
    found: dict[str, Any] = json.loads(_output(sys.executable, "-m", "rnncli", "doctor", "--json"))
    return found


def keep(name: str, text: Path, content: str, found: Mapping[str, Any], of: Mapping[str, Any]) -> Path:
    """Write what was found with a text on the machine `of`; the file that has it now."""
    record = {
        "text": text.name,
        "text_sha256": sha256(content),
        "characters": len(content),
        "finished_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": of,
        **found,
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return file


def load(name: str) -> dict[str, Any]:
    """What is kept under that name."""
    record: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return record


def commit() -> str:
    """Of the program that runs."""
    return _output("git", "rev-parse", "HEAD")


def sha256(content: str) -> str:
    """Of a text in UTF-8."""
    return hashlib.sha256(content.encode()).hexdigest()


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
