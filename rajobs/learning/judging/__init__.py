"""Judging a model: its answers to rows that it did not learn from, as tables, and what validation says of them."""
