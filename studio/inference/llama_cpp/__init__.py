"""llama.cpp from packages: its converter, the library that quantises and decodes, and its server."""
