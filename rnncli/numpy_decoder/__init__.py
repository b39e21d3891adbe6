"""The same networks in NumPy, one token at a time: generation without torch."""
