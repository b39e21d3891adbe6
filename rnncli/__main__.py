"""`python -m rnncli` and the `rnncli` script: both enter here."""

from rnncli.cli.app import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
