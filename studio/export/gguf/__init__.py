"""GGUF files of a model, made and looked at with llama.cpp's own programs."""
