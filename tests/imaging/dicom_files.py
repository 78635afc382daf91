"""Small DICOM files for the tests, written by pydicom and, where possible, not coded by the reader's own libraries."""

import io
from typing import Any

import numpy as np
import pydicom
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
CR, US = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.6.1"


def film(rows=64, columns=48, bits=12, seed=0):
    """A smooth film with some noise."""
    draw = np.random.default_rng(seed)
    slope = np.linspace(0, (1 << bits) * 0.9, rows * columns).reshape(rows, columns)
    out = np.clip(slope + draw.normal(0, 3, (rows, columns)), 0, (1 << bits) - 1)
    return out.astype(np.uint8 if bits <= 8 else np.uint16)


def scan_rgb(rows=32, columns=48, seed=0):
    """A colour picture with a red patch on grey."""
    draw = np.random.default_rng(seed)
    out = np.repeat(draw.integers(20, 120, (rows, columns, 1)), 3, axis=2).astype(np.uint8)
    out[8:20, 10:30] = (220, 40, 20)
    return out


def flow_rgb(rows=32, columns=48):
    """A colour picture with flow on grey: red at its edge, yellow in its middle."""
    out = scan_rgb(rows, columns)
    level = np.outer(np.hanning(14)[1:-1], np.hanning(22)[1:-1])[..., None]
    out[8:20, 10:30] = (150, 10, 0) + level * (105, 240, 20)
    return out


def dicom(pixels, *, syntax=EXPLICIT, frames: list[bytes] | None = None, bits: int | None = None, **changes: Any):
    """A file with these pixels, or with coded `frames` of them; `changes` set elements, or remove them if None."""
    samples = pixels.shape[-1] if pixels.ndim >= 3 and pixels.shape[-1] == 3 else 1
    image = pixels[0] if pixels.ndim - (samples == 3) == 3 else pixels
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = (CR, "1.2.3.4") if samples == 1 else (US, "1.2.3.5")
    ds.Modality = "CR" if samples == 1 else "US"
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "P1", "1.2.3", "1.2.3.1"
    ds.Rows, ds.Columns, ds.SamplesPerPixel = image.shape[0], image.shape[1], samples
    ds.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
    if samples == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = 8 * pixels.itemsize
    ds.BitsStored = bits or ds.BitsAllocated
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    for name, value in changes.items():
        if value is None:
            del ds[name]
        else:
            with config.disable_value_validation():
                setattr(ds, name, value)
    if frames is None:
        big = syntax == BIG_ENDIAN
        data = (pixels.byteswap() if big else pixels).tobytes()
        ds.PixelData = data + b"\0" * (len(data) % 2)
        ds["PixelData"].VR = "OB" if pixels.itemsize == 1 else "OW"
    else:
        ds.PixelData = encapsulate(frames)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = io.BytesIO()
    with config.disable_value_validation():
        pydicom.dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


def region(x0, y0, x1, y1, spatial=1):
    """An item of the sequence of ultrasound regions."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = spatial, 1, 0
    item.RegionLocationMinX0, item.RegionLocationMinY0 = x0, y0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = x1, y1
    item.PhysicalUnitsXDirection = item.PhysicalUnitsYDirection = 3
    item.PhysicalDeltaX = item.PhysicalDeltaY = 0.0125
    return item
