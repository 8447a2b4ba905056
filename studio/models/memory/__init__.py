"""How much memory a model takes, to be trained or run."""
