"""The Chat tab: typed contexts, their templates, the live regions and the endpoints."""
