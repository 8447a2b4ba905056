"""The parts of the Deploy tab beside the engines: load tests, the prompt recorder, snippets, Open WebUI and RAGFlow."""
