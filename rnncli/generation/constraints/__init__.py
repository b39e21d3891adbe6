"""Regular expressions as constraints on the tokens that are generated."""
