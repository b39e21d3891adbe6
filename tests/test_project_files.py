"""The files around the package agree with each other: Makefile, versions, continuous integration."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from rnncli import __version__
from rnncli.runtime import SYSTEM

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def pinned(package: str) -> str:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(package)}==(\S+)$", constraints, re.MULTILINE)
    assert found is not None, f"constraints.txt has no {package}"
    return found.group(1)


def recipe(target: str) -> list[str]:
    """The target's own prerequisites, and its commands."""
    rule = re.search(rf"^{target}:([^#\n]*).*\n((?:\t.*\n)*)", MAKEFILE, re.MULTILINE)
    assert rule is not None
    return [*rule.group(1).split(), *(line.strip() for line in rule.group(2).splitlines())]


@pytest.mark.skipif(SYSTEM == "windows" or shutil.which("make") is None, reason="needs make")
def test_make_help_lists_every_target_with_a_sentence() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony is not None
    printed = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout
    listed = {line.split()[0]: line.split(maxsplit=1)[1] for line in printed.splitlines()}
    assert set(listed) == set(phony.group(1).split())
    assert all(text[0].isupper() and text.endswith(".") for text in listed.values())
    assert max(map(len, printed.splitlines())) <= 80


def test_make_test_all_runs_what_make_test_runs_and_more() -> None:
    lint, fast = recipe("test")
    assert fast.endswith(' -m "not slow"')
    assert recipe("test-all")[0] == lint
    assert recipe("test-all")[1].startswith(fast.removesuffix(' -m "not slow"') + " --cov=rnncli")
    assert "make test-all" in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_pre_commit_runs_the_version_of_ruff_that_make_runs() -> None:
    config = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    revision = re.search(r"ruff-pre-commit\n\s+rev: v(\S+)", config)
    assert revision is not None
    assert revision.group(1) == pinned("ruff")


def test_the_citation_names_the_version_of_the_package() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(rf"^version: {re.escape(__version__)}$", citation, re.MULTILINE)


def test_every_python_that_is_declared_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = set(re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"])))
    workflow = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    matrix = re.search(r"^  linux:.*?python: \[(.*?)\]", workflow, re.DOTALL | re.MULTILINE)
    assert matrix is not None
    assert set(re.findall(r"3\.\d+", matrix.group(1))) == declared


def test_the_changelog_has_a_place_for_what_comes_next() -> None:
    headings = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:])
