"""What answers and judges decided, counted: labels taken for each other, and answers preferred."""
