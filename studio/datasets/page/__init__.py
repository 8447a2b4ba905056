"""What the page shows of datasets, and what a script can ask of them."""
