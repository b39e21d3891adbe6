"""Print the language manual that Python carries in itself, as one text for training.

`pydoc_data.topics` holds the reference pages behind help("TOPIC"), about 470 KB, and the docstrings
of pure-Python standard library modules add prose to them. Nothing is downloaded; the text is under
the Python Software Foundation licence of the Python that prints it.
"""

import ast
import sys
import sysconfig
from pathlib import Path
from pydoc_data.topics import topics

# Modules whose docstrings are prose rather than tables.
MODULES = (
    "argparse",
    "collections/__init__",
    "datetime",
    "decimal",
    "difflib",
    "fractions",
    "functools",
    "heapq",
    "inspect",
    "logging/__init__",
    "optparse",
    "pathlib",
    "pickle",
    "random",
    "statistics",
    "string",
    "subprocess",
    "tempfile",
    "textwrap",
    "threading",
    "turtle",
    "typing",
    "unittest/mock",
)


def docstrings(source: str) -> list[str]:
    """Every docstring of a module, in the order of the file."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    found = [ast.get_docstring(node) for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0))]
    return [text for text in found if text]


def main() -> None:
    library = Path(sysconfig.get_path("stdlib"))
    pages = [text for _, text in sorted(topics.items())]
    for module in MODULES:
        path = library / f"{module}.py"
        if path.exists():
            pages += docstrings(path.read_text(encoding="utf-8"))
    sys.stdout.reconfigure(encoding="utf-8")
    for page in pages:
        sys.stdout.write(page.strip() + "\n\n")


if __name__ == "__main__":
    main()
