"""Drawn clinic visits, after the printed tables of paper 000."""
