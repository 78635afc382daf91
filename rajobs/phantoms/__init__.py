"""Drawn films, ultrasound and clinics, and the archives they are shipped in. Numpy and OpenCV only."""
