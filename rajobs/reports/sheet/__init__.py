"""The page in which a reader scores: it needs no server and loads nothing."""
