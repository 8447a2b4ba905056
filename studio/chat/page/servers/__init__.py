"""The servers that a person added, and their models."""
