"""rajobs ingest: the driver, the inventory of sources, the worker, markers of what is done, duplicates."""
