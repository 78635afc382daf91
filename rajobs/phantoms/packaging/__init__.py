"""Drawn pictures as files in archives: encodings, headers, damaged and hostile files, truth tables."""
