"""The command line beside the Python functions: both are to say the same."""

from tests.cli.conftest import rnncli as rnncli
