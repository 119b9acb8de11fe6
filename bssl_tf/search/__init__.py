"""Similarity search among photos without labels, by the features or the binary codes of a converted file."""
