"""The weights of a model on disk: what their headers say, whether they are whole, and what could do harm."""
