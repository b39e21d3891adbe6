"""Text to ids and back. Knows nothing of networks."""
