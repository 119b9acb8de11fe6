"""What a representation is judged by: one file a protocol."""
