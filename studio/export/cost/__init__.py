"""What each form of a model loses against its 16 bits, and how fast it is here."""
