"""What the fields of incoming rows say: names, messages, content parts, tools and media, each read in one place."""
