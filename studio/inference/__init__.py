"""Models that answer: in memory and on servers, each asked with the prompt of its training. Knows no page."""
