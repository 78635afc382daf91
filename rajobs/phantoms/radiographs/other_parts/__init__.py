"""Drawn radiographs that show no joint of the method: chest, skull, arms, legs and others."""
