"""What is reached over a network: addresses as people write them."""
