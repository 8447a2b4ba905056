"""Answers to the rows of datasets, and the loss of their reference answers."""
