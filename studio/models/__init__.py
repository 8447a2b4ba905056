"""The catalogue, downloads and the library of models on disk."""
