"""What a network has learned: gradients through time, use of context, neurons and embeddings."""
