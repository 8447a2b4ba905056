"""What the tab shows of getting models: the catalogue, the forms, and what is on its way."""
