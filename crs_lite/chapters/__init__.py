"""What notebooks use: the running example, checks, figures, widgets, the shipped checkpoints."""
