"""The Models tab, and what a script can ask of the models."""
