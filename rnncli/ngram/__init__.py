"""Kneser-Ney n-gram models and their interpolation with a network."""
