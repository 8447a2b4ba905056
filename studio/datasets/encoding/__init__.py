"""What a model sees of a row, and what LLaMA-Factory's own loader makes of a whole set."""
