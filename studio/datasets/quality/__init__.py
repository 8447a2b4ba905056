"""Whether a dataset is sound: checks row by row, duplicates, lengths, damaged text, and the reports that are kept."""
