"""What models wrote as HTML or as a file. The one place of the chat that makes HTML in Python."""
