"""One file's bytes to pixels: DICOM and its transfer syntaxes, plain pictures, video, ultrasound regions."""
