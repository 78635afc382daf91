"""Rows of the tables as arrays that a network learns from or answers."""
