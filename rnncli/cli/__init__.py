"""Parse, call, show: one command a file. The only room that imports typer."""
