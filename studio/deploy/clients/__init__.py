"""What people put in front of an engine: their own programs, Open WebUI, RAGFlow."""
