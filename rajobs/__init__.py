"""rajobs: Ray jobs that turn archives of hand radiographs and joint ultrasound into study tables."""

__version__ = "0.1.0"
