"""Ollama: its native API, and the models in its store."""
