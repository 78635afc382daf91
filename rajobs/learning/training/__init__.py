"""Training of a network: the loop, its state, augmentation and cross-validation."""
