"""What an answer is worth: metrics, their intervals, and tests of their differences. Knows no page and no store."""
