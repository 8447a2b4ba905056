"""A model's weights quantised in the formats of transformers, each loaded and asked before it is offered."""
