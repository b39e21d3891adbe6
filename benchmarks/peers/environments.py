"""Virtual environments of peers: made once, by pip, under .bench/ of the working directory."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(".bench")
# Which build that is depends on where pip looks: for processors alone it is a fifth of that for CUDA.
TORCH = "torch==2.13.0"
_OF_PIP = ("pip", "setuptools", "wheel")
_failed: dict[str, str] = {}


class UnusableError(Exception):
    """A peer that cannot be installed or run; the message goes into its row."""


@dataclass(frozen=True)
class Environment:
    """Packages that pip installs together, by its arguments; `names` are those whose versions are told."""

    name: str
    packages: tuple[str, ...]
    names: tuple[str, ...]

    def python(self) -> Path:
        """Its interpreter, installed on the first call; raises UnusableError with what pip said last."""
        folder = FOLDER / self.name
        if not (folder / "installed").exists():
            if self.name not in _failed:
                self._install(folder)
            if self.name in _failed:
                raise UnusableError(_failed[self.name])
        return (folder / "bin" / "python").absolute()

    def bytes(self) -> int | None:
        """What its packages take on the disk; None where they are not there."""
        folder = FOLDER / self.name
        if not (folder / "installed").exists():
            return None
        (site,) = folder.glob("lib/python*/site-packages")
        own = [entry for entry in site.iterdir() if not entry.name.startswith(_OF_PIP)]
        files = (file for entry in own for file in ([entry] if entry.is_file() else entry.rglob("*")))
        return sum(file.lstat().st_size for file in files if file.is_file())

    def versions(self) -> dict[str, str]:
        """As they are installed."""
        program = "import sys, importlib.metadata as m\nfor n in sys.argv[1:]: print(n, m.version(n))"
        try:
            command = [str(self.python()), "-c", program, *self.names]
        except UnusableError:
            return {}
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
        return dict(line.split() for line in ran.stdout.splitlines())

    def _install(self, folder: Path) -> None:
        python = folder / "bin" / "python"
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *self.packages],
        ):
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            if ran.returncode:
                _failed[self.name] = last_line(ran.stderr) or f"status {ran.returncode}"
                return
        (folder / "installed").touch()


def last_line(said: str) -> str:
    """The last thing that a program said, without places of this machine or of an index."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return re.sub(r"https?://\S+|(?<![\w.])/[\w./+-]+", "...", lines[-1]) if lines else ""
