"""The Export tab: what is made of a model, and what was made of it."""
