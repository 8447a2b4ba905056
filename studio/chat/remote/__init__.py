"""What a server sends, as it stands on the wire and as an answer. Knows no network: bytes and JSON values go in, an `Answer` comes out."""
