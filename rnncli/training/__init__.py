"""Training: the planner, the trainer, and what they are made of."""
