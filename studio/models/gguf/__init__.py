"""Models that come as GGUF files, made into folders that can be trained."""
