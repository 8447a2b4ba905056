"""What the tab shows of a closer look at a dataset: its check, a row as tokens, lengths, and sets made of its rows."""
