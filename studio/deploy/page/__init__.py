"""The Deploy tab and its endpoints."""
