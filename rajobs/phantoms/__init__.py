"""Drawn films, ultrasound and clinical findings, and archives of them. No torch and no Ray."""
