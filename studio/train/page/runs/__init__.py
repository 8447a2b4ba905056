"""The runs on the page: the list, the head of the one that is looked at, and each part below it."""
