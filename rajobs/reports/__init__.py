"""Figures and static pages, made from tables."""
