"""Bytes to pixels: archives, DICOM, pictures, windowing, hands out of films. No torch."""
