"""What the page shows while data is brought in."""
