"""004's detector: a boosted cascade of Haar-like features, trained here and read by OpenCV."""
