"""A computer with another operating system, one for all tests of a file."""

from collections.abc import Iterator

import pytest

from tests.imitation.running import Machine, machine_with_model


@pytest.fixture(scope="module")
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """With the system that the test's file names in SYSTEM, a text, and a finished model of it, models/x."""
    folder = tmp_path_factory.mktemp(request.module.SYSTEM)
    with machine_with_model(request.module.SYSTEM, folder) as machine:
        yield machine
