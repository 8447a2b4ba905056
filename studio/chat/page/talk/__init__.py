"""The conversation in hand: its columns, its head, the vote, and what went into each column."""
