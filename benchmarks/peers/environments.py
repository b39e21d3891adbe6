"""Virtual environments of peers: made once, by pip, under .bench/ of the working directory."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(".bench")
# The build that pip finds quickly on most machines; a peer that refuses it says so in its row.
TORCH = "torch==2.13.0"


class UnusableError(Exception):
    """A peer that cannot be installed or run; the message goes into its row."""


@dataclass(frozen=True)
class Environment:
    """Packages that pip installs together; none: those of the Python that runs the benchmark."""

    name: str
    packages: tuple[str, ...]

    def python(self) -> Path:
        """Its interpreter, installed on the first call; raises UnusableError with what pip said last."""
        if not self.packages:
            return Path(sys.executable)
        folder = FOLDER / self.name
        python, done = folder / "bin" / "python", folder / "installed"
        if not done.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            ran = subprocess.run([*install, *self.packages], capture_output=True, text=True, check=False)
            if ran.returncode:
                said = [line for line in ran.stderr.splitlines() if line.strip()]
                raise UnusableError(f"pip: {said[-1] if said else ran.returncode}")
            done.touch()
        return python.absolute()

    def bytes(self) -> int | None:
        """What its packages take on the disk; None where they are not its own."""
        site = FOLDER / self.name / "lib"
        if not self.packages:
            return None
        return sum(file.lstat().st_size for file in site.rglob("*") if file.is_file())
