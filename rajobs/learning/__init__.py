"""Networks, answers, augmentation, the training loop and model bundles. Torch, no ray."""
