"""rajobs score: the driver, the worker, joint finding, rows of hands and joints, the gathered tables."""
