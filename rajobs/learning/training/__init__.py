"""How a network is trained: the loop, its state, augmentation and cross-validation."""
