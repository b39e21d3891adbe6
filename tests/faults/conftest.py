"""Campaigns of faults: a short form with every test run, the long one by `make faults`, and their figures."""

import os
from collections.abc import Callable, Iterator

import pytest

LONG = os.environ.get("RNNCLI_FAULTS") == "long"
_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def effort() -> Callable[[int, int], int]:
    """effort(short, long): how often a campaign tries."""
    return lambda short, long: long if LONG else short


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """figure("40 folders, 40 refused"): printed at the end of the run, under the name of the test."""
    figures = request.config.stash.setdefault(_FIGURES, [])
    return lambda says: figures.append(f"{request.node.name}: {says}")


@pytest.hookimpl(hookwrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    yield
    figures = config.stash.get(_FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)
