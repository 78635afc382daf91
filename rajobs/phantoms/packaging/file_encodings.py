"""The encodings in which films, scans and loops are written in turn, as varied as in real archives."""

_RARE: tuple[tuple[str, str, str], ...] = (
    ("explicit", "plain", "plain"),
    ("jpeg-lossless", "plain", "plain"),
    ("implicit", "plain", "no-preamble"),
    ("rle", "signed", "plain"),
    ("png", "", ""),
    ("explicit", "signed", "odd-vr"),
    ("jpeg-ls", "plain", "planted-preamble"),
    ("implicit", "rescaled", "bare"),
    ("jpeg2000", "plain", "plain"),
    ("explicit", "sixteen", "deep-sequence"),
    ("jpeg-baseline", "eight", "plain"),
    ("big-endian", "plain", "plain"),
    ("jpeg-lossless", "narrow", "open-sequences"),
    ("explicit", "modality-lut", "tiff-preamble"),
    ("deflated", "plain", "plain"),
    ("jpeg", "", ""),
    ("htj2k", "loose", "plain"),
    ("implicit", "voi-lut", "open-sequences"),
    ("jpeg-extended", "twelve", "plain"),
    ("explicit", "padded", "trailing"),
    ("jpeg-ls-near", "plain", "plain"),
    ("jpeg2000-lossy", "no-window", "plain"),
    ("rle", "eight", "no-preamble"),
    ("tiff", "", ""),
    ("jpeg-lossless-any", "two-windows", "plain"),
    ("implicit", "ten", "plain"),
    ("htj2k-lossy", "loose", "plain"),
    ("explicit", "eight", "planted-preamble"),
    ("big-endian", "modality-lut", "plain"),
    ("jpeg-lossless", "voi-lut", "plain"),
    ("bmp", "", ""),
    ("explicit", "loose", "plain"),
    ("implicit", "padded", "plain"),
    ("explicit", "two-windows", "no-preamble"),
    ("jpeg-lossless", "rescaled", "plain"),
    ("explicit", "no-window", "plain"),
    ("implicit", "plain", "plain"),
    ("rle", "ten", "plain"),
    ("explicit", "voi-lut", "open-sequences"),
    ("implicit", "signed", "bare"),
    ("jpeg-lossless", "sixteen", "plain"),
    ("explicit", "rescaled", "plain"),
    ("implicit", "two-windows", "plain"),
)
_COMMON = (
    ("explicit", "plain", "plain"),
    ("implicit", "plain", "plain"),
    ("jpeg-lossless", "plain", "plain"),
    ("explicit", "two-windows", "plain"),
    ("implicit", "no-window", "plain"),
    ("rle", "plain", "plain"),
)
FILM_ENCODINGS = _RARE + 10 * _COMMON
"""Encodings of films: transfer syntax (or kind of picture file), form of the samples, layout of the file.

Rare encodings come first, so that even small phantoms contain most of them; overall, cheap and common ones prevail.
Their number is a prime, so that an encoding does not always meet the same kind of film.
"""
SCAN_ENCODINGS: tuple[tuple[str, str], ...] = (
    ("explicit", "rgb"),
    ("jpeg-baseline", "ybr-422"),
    ("rle", "rgb"),
    ("jpeg2000", "rct"),
    ("explicit", "palette"),
    ("implicit", "planar"),
    ("explicit", "ybr"),
    ("explicit", "no-region"),
    ("rle", "ybr"),
    ("jpeg-lossless", "rgb"),
    *2 * (("jpeg-baseline", "ybr-422"), ("explicit", "rgb"), ("rle", "rgb"), ("explicit", "planar")),
    ("jpeg-baseline", "ybr-422"),
)
LOOP_ENCODINGS: tuple[tuple[str, str], ...] = (
    ("jpeg-baseline", "ybr-422"), ("avi", ""), ("explicit", "rgb"), ("jpeg-baseline", "ybr-422"), ("rle", "rgb"),
)  # fmt: skip
"""Encodings of single scans and of loops: transfer syntax (or avi) and form of the samples."""
LOSSY_SYNTAXES = ("jpeg-baseline", "jpeg-extended", "jpeg-ls-near", "jpeg2000-lossy", "htj2k-lossy")
