"""Text to token ids: sources, decoding, tokenizers, splits, token datasets and batches."""
