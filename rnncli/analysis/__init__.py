"""What a network has learned: gradients, context, neurons, embeddings."""
