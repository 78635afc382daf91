"""Drawn visits to a clinic, after the tables that 000 prints."""
