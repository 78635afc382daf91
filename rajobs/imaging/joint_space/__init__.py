"""The joint space of finger joints: the contours of two bones on a film, and the distance between them."""
