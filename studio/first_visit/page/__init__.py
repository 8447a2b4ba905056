"""What the page shows of the first visit, and what a script can ask of it."""
