"""Programs that print the figures in the documentation. Run them alone on the machine."""
