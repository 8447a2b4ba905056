"""Datasets: which training data there is, whether it is sound, and what the model will see of it."""
