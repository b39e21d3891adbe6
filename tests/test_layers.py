"""The layers: imports run downwards only, and only some packages may import certain libraries."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rnncli"
MODULES = sorted(path.relative_to(PACKAGE.parent) for path in PACKAGE.rglob("*.py"))

# From the bottom to the top. A package may import itself and what lies below it; packages of one layer do not
# import one another, but for those named in BESIDE. The base is the modules that lie in rnncli/ itself.
LAYERS: list[set[str]] = [
    {"base"},
    {"data"},
    {"nn", "numpy_decoder", "ngram"},
    {"evaluation", "analysis", "generation"},
    {"training"},
    {"storage", "export"},
    {"workflows"},
    {"console"},
    {"cli"},
]
BESIDE = {
    ("analysis", "evaluation"),
    ("export", "storage"),
}
# Descriptions: modules of the standard library alone, which every package may import.
DESCRIPTIONS = {"config", "cell_registry"}
# library -> the only packages that may import it.
OWNERS = {
    "typer": {"cli"},
    "rich": {"console"},
    "matplotlib": {"console"},
    "sentencepiece": {"data"},
    "charset_normalizer": {"data"},
    "backports": {"data"},
    "safetensors": {"storage"},
    "numba": {"nn"},
    "optuna": {"training"},
    "rapidfuzz": {"evaluation"},
    "tensorboard": {"storage"},
    "torch": {"nn", "evaluation", "analysis", "generation", "training", "storage", "workflows", "cli"},
}
HEAVY = {"torch", "numpy", "sentencepiece", "safetensors"}


def layer_of(package: str) -> int:
    return next(height for height, packages in enumerate(LAYERS) if package in packages)


def may_import(package: str, other: str) -> bool:
    return package == other or (package, other) in BESIDE or layer_of(other) < layer_of(package)


def package_of(module: Path) -> str:
    parts = module.parts
    return parts[1] if len(parts) > 2 else "base"


def imports_of(module: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse((PACKAGE.parent / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{module} imports relatively"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def target_package(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else "base"


def is_description(name: str) -> bool:
    return any(part in DESCRIPTIONS for part in name.split(".")[2:3])


def test_every_package_has_its_layer() -> None:
    packages = {package_of(module) for module in MODULES}
    assert packages == {package for layer in LAYERS for package in layer}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_run_downwards(module: Path) -> None:
    if module in (Path("rnncli/__main__.py"), Path("rnncli/__init__.py")):  # the doors to the upper layers
        return
    package = package_of(module)
    for name in imports_of(module):
        if name.startswith("rnncli."):
            allowed = is_description(name) or may_import(package, target_package(name))
            assert allowed, f"{module} imports {name}"
        else:
            library = name.split(".")[0]
            assert package in OWNERS.get(library, {package}), f"{module} imports {library}"


@pytest.mark.parametrize("module", [m for m in MODULES if m.stem in DESCRIPTIONS], ids=str)
def test_a_description_needs_the_standard_library_only(module: Path) -> None:
    for name in imports_of(module):
        if name.startswith("rnncli."):
            # Only modules of the base, and other descriptions.
            assert target_package(name) == "base" or is_description(name), name
        else:
            assert name.split(".")[0] not in HEAVY, name


def test_storage_is_used_by_the_upper_layers_alone() -> None:
    for module in MODULES:
        if (
            package_of(module) not in ("cli", "console", "workflows", "storage", "export")
            and module.name != "__init__.py"
        ):
            assert not any("rnncli.storage" in name for name in imports_of(module)), module


# The one module that asks which system this is.
ASKS_FOR_THE_SYSTEM = {Path("rnncli/runtime.py")}
SYSTEM_ATTRIBUTES = {"sys.platform", "os.name", "platform.system", "ctypes.windll", "ctypes.WinDLL"}
SYSTEM_MODULES = {"fcntl", "msvcrt", "resource", "winreg", "termios", "tty", "pty", "pwd", "grp"}
# What os and signal do not have on every system, and what does something else there.
NOT_EVERYWHERE = {
    *(
        "os.kill",
        "os.fork",
        "os.sysconf",
        "os.pwrite",
        "os.pread",
        "os.sched_getaffinity",
        "os.fsync",
        "os.rename",
    ),
    *("os.O_NOFOLLOW", "os.O_NONBLOCK", "os.O_BINARY", "os.getuid", "os.replace"),
    *("signal.SIGHUP", "signal.SIGUSR1", "signal.SIGPIPE", "signal.SIGKILL", "signal.SIGBREAK"),
    *("signal.pthread_sigmask", "signal.alarm", "signal.setitimer"),
}


def names_in(module: Path) -> list[str]:
    """Every name of an imported module that is used, such as os.name."""
    tree = ast.parse((PACKAGE.parent / module).read_text(encoding="utf-8"))
    found = [
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    ]
    return found + imports_of(module)


@pytest.mark.parametrize("module", sorted({*MODULES} - ASKS_FOR_THE_SYSTEM), ids=str)
def test_what_differs_between_systems_stands_in_one_module(module: Path) -> None:
    content = (PACKAGE.parent / module).read_text(encoding="utf-8")
    names = set(names_in(module))
    assert not names & (SYSTEM_ATTRIBUTES | NOT_EVERYWHERE)
    assert not {name.split(".")[0] for name in imports_of(module)} & SYSTEM_MODULES
    assert not re.search(r"\b(hasattr|getattr)\((os|signal|sys),", content)
    assert '"/proc' not in content


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_text_files_are_the_same_on_every_system(module: Path) -> None:
    """They are UTF-8 whatever the language of the system, and what is written has no carriage returns."""
    for node in ast.walk(ast.parse((PACKAGE.parent / module).read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        given = {keyword.arg for keyword in node.keywords}
        modes = [
            word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)
        ]
        if name in ("read_text", "write_text"):
            assert "encoding" in given, f"line {node.lineno}"
        if name == "write_text" or (
            name == "open" and any(re.fullmatch("[wax]\\+?", mode) for mode in modes)
        ):
            assert given >= {"encoding", "newline"}, f"line {node.lineno}"
