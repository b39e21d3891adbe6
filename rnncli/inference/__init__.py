"""Probabilities to numbers and text."""
