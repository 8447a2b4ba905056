"""What the page shows of the datasets there are: the list, the head, the rows and the entry of the one in hand."""
