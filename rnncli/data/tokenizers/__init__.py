"""Tokenizers at the character, byte, word and subword level."""
