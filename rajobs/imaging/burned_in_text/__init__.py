"""Text that is burned into films: found by its looks, and blanked."""
