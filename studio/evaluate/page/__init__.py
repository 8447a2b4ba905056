"""Evaluate, as the page and scripts have it."""
