"""What a server sends: its bytes, its pieces, and the answer they make. Knows no network."""
