"""Drawn radiographs of hands and feet, and what lies beside them."""
