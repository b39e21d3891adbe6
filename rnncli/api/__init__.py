"""Models at work, for the commands and for Python: loaded, measured, scoring, writing."""
