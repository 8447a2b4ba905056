"""The parts of an exported model's page: its record, its card, the forms of its template."""
