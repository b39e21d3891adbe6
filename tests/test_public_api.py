"""The public API of `import rnncli`: lazy, typed, complete."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import rnncli

PACKAGE = Path(rnncli.__file__).parent
# Submodules may become attributes of the package, too, when they are imported.
DEFINED_HERE = {"__version__", "load"}


def typed_names() -> dict[str, str]:
    """The names that type checkers see, with the modules that they are imported from."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name: node.module or ""
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_the_import_is_light() -> None:
    program = "import sys, rnncli; rnncli.load; print({'torch', 'numpy', 'typer', 'rich'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", rnncli.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(rnncli, name)
    assert isinstance(value, str) or value.__doc__ or name == "Event"


def test_type_checkers_see_the_same_names() -> None:
    typed = typed_names()
    assert {*typed, *DEFINED_HERE} == {*rnncli.__all__}
    for name, module in typed.items():
        assert getattr(rnncli, name) is getattr(sys.modules[module], name)
    assert (PACKAGE / "py.typed").is_file()
    assert dir(rnncli) == rnncli.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        rnncli.lod  # noqa: B018
    with pytest.raises(ImportError):
        exec("from rnncli import lod")


@pytest.mark.parametrize("name", [name for name in rnncli.__all__ if name.endswith("Error")])
def test_errors_have_one_root(name: str) -> None:
    assert issubclass(getattr(rnncli, name), rnncli.RnncliError)
