"""Tab 7: the base model and any checkpoint, side by side."""
