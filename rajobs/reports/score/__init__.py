"""The page of `rajobs score`: its tallies, its sections about hands, and a hand with its scores drawn on it."""
