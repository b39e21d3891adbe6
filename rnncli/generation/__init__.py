"""Sampling, beam search and constraints."""
