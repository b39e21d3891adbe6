"""Text and a budget in, a trained model out."""
