"""The commands: one per file. Only this package imports typer."""
