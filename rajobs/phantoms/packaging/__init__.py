"""Drawn pictures as files in archives: encodings, headers, damaged and hostile files, CSV tables of the truth."""
