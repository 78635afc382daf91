"""Architectures by name, what they are built of, and the weights that they start from."""
