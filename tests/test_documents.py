"""The documents are true: their commands run, their files and targets exist."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import tables
from tests.forked import commands

ROOT = Path(__file__).parent.parent
# Of the README in Chinese another test says that its commands are those of the other.
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHORT, SHORT_COMPARISON = "1s", "20s"


def console_commands(document: Path) -> list[str]:
    """Lines after "$ " in blocks marked as console."""
    blocks = re.findall(r"```console\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_readme_shows_a_recording_of_the_first_command() -> None:
    recording = re.search(r"```text\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert recording is not None
    lines = recording.group(1).splitlines()
    assert lines[0].startswith("$ rnncli train ")
    assert any("parameters" in line for line in lines)
    assert any(line.endswith("best") for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_readme_shows_the_two_commands_and_more() -> None:
    commands = console_commands(ROOT / "README.md")
    assert {"make demo", "make test"} <= set(commands)
    assert sum(command.split()[0] == "rnncli" for command in commands) >= 5


@pytest.fixture(scope="session")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with commands(tmp_path_factory.mktemp("bin")) as folder:
        yield folder


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if console_commands(d)], ids=lambda d: d.name)
def test_every_command_of_a_document_runs(document: Path, own_folder: Path, forked: Path) -> None:
    """In their order, in one folder, with a text in place of the reader's and less time than shown.

    The project's own texts are where a clone has them. And the Python in it after them.
    """
    (own_folder / "data").symlink_to(ROOT / "data")
    (own_folder / "novel.txt").write_bytes((ROOT / "data" / "english.txt").read_bytes())
    (own_folder / "other.txt").write_bytes((ROOT / "data" / "english.txt").read_bytes()[:3000])
    path = os.pathsep.join([str(forked), str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    for command in console_commands(document):
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
            continue
        short = SHORT_COMPARISON if command.startswith("rnncli compare") else SHORT
        shortened = re.sub(r"--time (\+?)\S+", rf"--time \g<1>{short}", command)
        if "rnncli train" in command and not re.search(r"--(time|steps|epochs|resume)", command):
            shortened += f" --time {SHORT}"
        done = subprocess.run(shortened, shell=True, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stderr.decode()}"
    for program in re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
        subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)


def test_the_readme_in_chinese_has_the_commands_and_pages_of_the_other() -> None:
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )
    assert console_commands(ROOT / "README.zh-CN.md") == console_commands(ROOT / "README.md")
    for kept in (r"```python\n.*?```", r"^rnncli/\w+/", r"`(?:char|byte|word|subword)`", r"docs/[a-z-]+\.md"):
        there, here = (re.findall(kept, text, re.DOTALL | re.MULTILINE) for text in (english, chinese))
        assert sorted(set(here)) == sorted(set(there)), kept
    assert len(re.findall(r"^## ", chinese, re.MULTILINE)) == len(re.findall(r"^## ", english, re.MULTILINE))


def test_links_between_pages_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_tables_of_results_are_those_of_the_results() -> None:
    marks = {"README.md": 1, "README.zh-CN.md": 1, "performance.md": 3, "recipes.md": 6}
    for document in tables.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        found = re.findall(r"<!-- table: .*? -->\n(.*?)<!-- end of table -->", text, re.DOTALL)
        assert ["|" in table for table in found] == [True] * marks[document.name]
        assert tables.rewritten(text) == text, "python -m benchmarks.tables writes them"


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_every_file_that_a_page_names_exists(name: str) -> None:
    modules = re.findall(r"\b([a-z]\w*\.py)\b", (ROOT / name).read_text(encoding="utf-8"))
    present = {
        path.name for room in ("rnncli", "tests", "benchmarks") for path in (ROOT / room).rglob("*.py")
    }
    assert modules
    assert set(modules) <= present


def test_every_module_stands_in_the_architecture() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [
        path
        for path in (ROOT / "rnncli").rglob("*.py")
        if path.stem not in ("__init__", "__main__", "config")
    ]
    missing = [
        path.name for path in rooms if path.parent.name not in ("cli", "console") and path.name not in page
    ]
    assert not missing


def test_the_texts_of_the_project_are_of_the_size_that_their_page_says() -> None:
    for name in ("english.txt", "chinese.txt"):
        assert 20_000 <= (ROOT / "data" / name).stat().st_size <= 60_000


def test_dependencies_are_the_agreed_ones_and_each_has_its_reason() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = re.search(r"^dependencies = \[\n(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    assert block is not None
    lines = block.group(1).splitlines()
    assert {re.match(r'\s+"([a-z.-]+)', line).group(1) for line in lines} == {  # type: ignore[union-attr]
        "torch",
        "numpy",
        "typer",
        "rich",
        "sentencepiece",
        "safetensors",
        "backports.zstd",
        "numba",
        "charset-normalizer",
        "rapidfuzz",
    }
    assert all("# " in line for line in lines)
