"""Run rnncli on an emulated processor: `qemu-user` executes a program made for one processor on another.

    run("haswell", "eval", "--json", timeout=300) -> exit code, stdout, stderr

    native    this machine, for comparison
    haswell   x86-64 with AVX2, without AVX-512, emulated with the Python that runs the tests
    nehalem   x86-64 with SSE4.2 and nothing newer, emulated with the same Python
    arm       aarch64 with NEON, without SVE and bf16, emulated with a Python that is assembled once

The Python for ARM consists of Debian's packages (20 MB to download) and of wheels for aarch64 (190 MB). It
takes 1 GB in $RNNCLI_ARM, or else in the user's cache folder. The system stays as it is: apt works with state
and cache folders of its own.

Where something is missing, the test is skipped with the command that provides it.
"""

import importlib.metadata
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Processor = Literal["native", "haswell", "nehalem", "arm"]

ROOT = Path(__file__).parent.parent.parent
SITE = Path(__file__).parent / "site"  # its sitecustomize.py has worker processes emulated too
_CPUS: dict[Processor, tuple[str, str]] = {
    "haswell": ("qemu-x86_64", "Haswell-v4"),
    "nehalem": ("qemu-x86_64", "Nehalem"),
    "arm": ("qemu-aarch64", "neoverse-n1"),
}
_AVX2_SINCE = (7, 2)
# What qemu and oneDNN print about the emulation itself.
_NOISE = re.compile(r"TCG doesn't support requested feature|Can't open MIDR_EL1")
# Read at import, before tests/conftest.py removes the variable from the environment.
_ARM_FOLDER = Path(
    os.environ.get("RNNCLI_ARM")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rnncli" / "arm-python"
).absolute()
_PACKAGES = ("python3", "libgomp1", "libstdc++6")
# Newer wheels of torch for Linux on ARM contain CUDA: 2 GB of it.
_OTHER_VERSIONS = {"torch": "2.10.0"}
_OLDEST_PYTHON = (3, 11)
_MANYLINUX = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 36)))
# Only builds of torch with CUDA need them.
_CUDA = ("cuda", "nvidia", "triton")
# Variables for a processor other than the emulated one.
_TUNING = re.compile(
    r"OPENBLAS_CORETYPE|(ONEDNN|DNNL)_MAX_CPU_ISA|MKL_ENABLE_INSTRUCTIONS|ATEN_CPU_CAPABILITY"
)
# qemu 7.2 takes 0 for every index of an AVX2 gather whose indices are in register 4 (its issue 2474), so that
# numpy's argsort gives wrong orders. torch still computes with AVX2.
_WITHOUT_NUMPY_AVX2 = {"NPY_DISABLE_CPU_FEATURES": "X86_V3"}
# Adds a line to a file for every process.
_SCRIPT = """#!/bin/sh
echo "$*" | tr '\\n' ' ' >> {starts}
echo >> {starts}
exec {command} "$@"
"""


@dataclass(frozen=True)
class Ran:
    """What a command left behind; `processes` is the number of emulated ones that it consisted of."""

    code: int
    out: str
    err: str
    processes: int


def run(processor: Processor, *arguments: object, timeout: float) -> Ran:
    """Run `rnncli ARGUMENTS` in the working folder, and skip the test where the emulation is not available.

    Args:
        processor: Where to run it.
        arguments: What follows `rnncli` on the command line.
        timeout: Seconds after which `subprocess.TimeoutExpired` is raised.
    """
    script, starts = Path("emulated-python").absolute(), Path("emulated-starts").absolute()
    starts.unlink(missing_ok=True)
    python, paths, variables = sys.executable, [ROOT], {}
    if processor != "native":
        script.write_text(
            _SCRIPT.format(command=shlex.join(_emulator(processor)), starts=shlex.quote(str(starts)))
        )
        script.chmod(0o755)
        python, paths, variables = str(script), [ROOT, SITE], {"EMULATED_PYTHON": str(script)}
    if processor == "haswell":
        variables |= _WITHOUT_NUMPY_AVX2
    if processor == "arm":
        paths.append(_ARM_FOLDER / "site")
        # Its modules are compiled once, even where the caller's environment forbids it: that takes long.
        variables |= {"PYTHONPYCACHEPREFIX": str(_ARM_FOLDER / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    environment = {
        **_without_tuning(os.environ),
        **variables,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        # Emulated threads that wait for each other take the processor from the one that computes.
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [python, "-m", "rnncli", *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=timeout,
        check=False,
    )
    errors = done.stderr.decode("utf-8", "replace").splitlines(keepends=True)
    return Ran(
        done.returncode,
        done.stdout.decode("utf-8"),
        "".join(line for line in errors if not _NOISE.search(line)),
        len(starts.read_text(encoding="utf-8").splitlines()) if starts.exists() else 0,
    )


def _without_tuning(variables: Mapping[str, str]) -> dict[str, str]:
    """Without those that choose kernels of another processor for OpenBLAS, oneDNN, MKL or torch."""
    return {name: value for name, value in variables.items() if not _TUNING.fullmatch(name)}


def _emulator(processor: Processor) -> list[str]:
    """Return the command that starts an emulated Python."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        pytest.skip(f"the emulation needs Linux on x86-64; this is {sys.platform} on {platform.machine()}")
    name, cpu = _CPUS[processor]
    qemu = shutil.which(name)
    if qemu is None:
        pytest.skip(f"{name} is not installed: apt-get install qemu-user")
    if processor == "arm":
        return [qemu, "-cpu", cpu, "-L", str(_ARM_FOLDER / "root"), str(_arm_python())]
    version = re.search(r"version (\d+)\.(\d+)", _output(qemu, "--version"))
    if processor == "haswell" and version and tuple(map(int, version.groups())) < _AVX2_SINCE:
        pytest.skip(f"{name} is of {version.group()}, which has no AVX2: install qemu-user 7.2 or newer")
    return [qemu, "-cpu", cpu, sys.executable]


def _arm_python() -> Path:
    """Return the Python for ARM; assemble it the first time, and again after an upgrade of what is here."""
    import fcntl  # not on Windows

    missing = [name for name in ("apt-get", "dpkg-deb") if shutil.which(name) is None]
    if missing:
        pytest.skip(
            f"{missing[0]} is not installed: the Python for ARM comes from packages of Debian or Ubuntu"
        )
    _ARM_FOLDER.mkdir(parents=True, exist_ok=True)
    with (_ARM_FOLDER / "lock").open("w") as lock:  # others may run the tests too
        fcntl.flock(lock, fcntl.LOCK_EX)
        python, stamp = _python_in(_ARM_FOLDER / "root"), _ARM_FOLDER / "contents.txt"
        found = stamp.read_text(encoding="utf-8") if stamp.exists() else None
        if python is None or found != _contents(python):
            stamp.unlink(missing_ok=True)
            python = _assemble(_ARM_FOLDER)
            stamp.write_text(_contents(python), encoding="utf-8")
    return python


def _assemble(folder: Path) -> Path:
    """Download the packages and wheels, unpack them in `folder`, and return the Python in it."""
    for name in ("apt", "root", "site", "compiled"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "root").mkdir()
    for package in _debian_packages(folder / "apt"):
        _output("dpkg-deb", "-x", package, folder / "root")
    shutil.rmtree(folder / "apt")
    for name in ("bin", "lib"):  # newer releases have these in /usr alone
        if not (folder / "root" / name).exists():
            (folder / "root" / name).symlink_to(f"usr/{name}")
    python = _python_in(folder / "root")
    if python is None:
        pytest.skip("the python3 of this release is older than 3.11, which rnncli needs")
    wheels = ["--only-binary=:all:", "--no-deps", "--no-compile", "--implementation", "cp"]
    wheels += ["--python-version", _version_of(python), *(f"--platform={tag}" for tag in _MANYLINUX)]
    _output(sys.executable, "-m", "pip", "install", "--target", folder / "site", *wheels, *_pins(python))
    return python


def _debian_packages(folder: Path) -> list[Path]:
    """Download Python and the libraries of torch with all that they depend on, for arm64.

    apt works in `folder`, with the system's sources: it needs no privileges, and the system does not change.
    """
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()  # of dpkg: nothing is installed
    settings = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Dir::State": folder / "state",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    _output("apt-get", *options, "-q", "update")
    _output("apt-get", *options, "-qy", "--no-install-recommends", "--download-only", "install", *_PACKAGES)
    return sorted((folder / "cache" / "archives").glob("*.deb"))


def _python_in(root: Path) -> Path | None:
    """Return the Python of a folder with Debian's packages, None where it is too old or not there."""
    found = {path: _version_of(path) for path in (root / "usr" / "bin").glob("python3.*")}
    versions = {path: tuple(map(int, version.split("."))) for path, version in found.items()}
    usable = [path for path, version in versions.items() if version >= _OLDEST_PYTHON]
    return max(usable, key=lambda path: versions[path], default=None)


def _version_of(python: Path) -> str:
    """ "3.11" of usr/bin/python3.11."""
    return python.name.removeprefix("python")


def _contents(python: Path) -> str:
    return "\n".join([python.name, *_pins(python), ""])


def _pins(python: Path) -> list[str]:
    """Return what rnncli needs on ARM, in the versions that are installed here."""
    version = _version_of(python)
    arm = {"platform_machine": "aarch64", "sys_platform": "linux", "platform_system": "Linux", "extra": ""}
    environment = {
        **arm,
        "os_name": "posix",
        "python_version": version,
        "python_full_version": f"{version}.0",
    }
    pins: dict[str, str] = {}
    names = ["rnncli"]
    for name in names:
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            needed = canonicalize_name(requirement.name)
            here = requirement.marker is None or requirement.marker.evaluate(environment)
            if here and needed not in names and not needed.startswith(_CUDA):
                names.append(needed)
                pins[needed] = _OTHER_VERSIONS.get(needed) or importlib.metadata.version(needed)
    return sorted(f"{name}=={version}" for name, version in pins.items())


def _output(*command: str | Path) -> str:
    """Return what a program printed; skip the test where it fails, which needs the network."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        pytest.skip(f"{shlex.join(map(str, command[:3]))} ... ended with {done.returncode}: {' '.join(said)}")
    return done.stdout
