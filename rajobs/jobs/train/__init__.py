"""rajobs train: the driver, the dataset of a study, the workers that train together, checkpoints."""
