"""rajobs tune: the driver, one trial, the search, and what trials take of the cluster."""
