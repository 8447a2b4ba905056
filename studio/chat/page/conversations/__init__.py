"""The conversations there are: their list, and the head of the one in hand."""
