"""Exact scoring of text, and what is computed from scores."""
