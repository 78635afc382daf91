"""A DICOM file's header: what it is, whether it is wanted, and the allow-listed part of it."""

import logging
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from rajobs.imaging.fates import Ignored
from rajobs.imaging.formats import code_strings, dicom_elements, transfer_syntaxes, ultrasound_regions
from rajobs.imaging.formats.dicom_elements import Elements
from rajobs.imaging.formats.transfer_syntaxes import Layout
from rajobs.imaging.image import Box, Header, ReadOptions
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject

_WANTED = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PatientSex", "PatientAge", "PatientBirthDate"),
    *("Modality", "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality", "Manufacturer"),
    *("ManufacturerModelName", "PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"),
    *("BurnedInAnnotation", "SourceImageSequence", "SequenceOfUltrasoundRegions", "SamplesPerPixel"),
    *(
        "PhotometricInterpretation",
        "PlanarConfiguration",
        "NumberOfFrames",
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
    ),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit", "WindowCenter", "WindowWidth"),
    *("RescaleIntercept", "RescaleSlope", "ModalityLUTSequence", "VOILUTSequence"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
)
OVERLAY_BITS = tuple(range(0x60000102, 0x60200102, 0x20000))
WANTED = frozenset((*(int(Tag(name)) for name in _WANTED), *OVERLAY_BITS))
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_RCT", "YBR_ICT")
PALETTE = "PALETTE COLOR"


@dataclass(frozen=True, kw_only=True, eq=False)
class Scan:
    """A DICOM image that is wanted: its header, its samples' layout and where on the screen the ultrasound is."""

    dataset: Dataset
    header: Header
    layout: Layout
    pixels: memoryview
    boxes: tuple[Box, ...] | None  # None: all of it

    @property
    def safe(self) -> bool:
        """Nothing in it needs a decoder that could hang or crash."""
        native = self.layout.syntax in (*transfer_syntaxes.NATIVE, transfer_syntaxes.RLE)
        return native and self.layout.photometric != PALETTE


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps pydicom's warnings to itself, for they quote the header; its log stays quiet from here on."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def scan(data: bytes, options: ReadOptions) -> Scan:
    """The image in a DICOM file, or the Reject or Ignored that it ends in; pixels are not looked at."""
    found = dicom_elements.read_elements(data, WANTED, options.limits)
    with quiet():
        dataset = found.dataset
        modality = _modality(found, options)
        header = read_header(dataset, modality)
        if found.pixels is None:
            raise Reject("truncated" if found.cut else "no-pixels", "header")
        boxes = None
        if modality == code_strings.ULTRASOUND:
            boxes = _boxes(dataset, options)
        elif header.burned_in and not options.burned_in:
            raise Reject("burned-in-annotation", "header")
        layout = _layout(found, options.limits)
    if found.cut:
        raise Reject("truncated", "header", "pixel data ends before its length says")
    if found.open == (layout.syntax in transfer_syntaxes.NATIVE):
        raise Reject("corrupt", "header", "encapsulation that contradicts the transfer syntax")
    return Scan(dataset=dataset, header=header, layout=layout, pixels=found.pixels, boxes=boxes)


def _modality(found: Elements, options: ReadOptions) -> str:
    dataset = found.dataset
    sop_class = text(dataset, "SOPClassUID") or found.stated_class or None
    if sop_class == code_strings.DIRECTORY_CLASS:
        raise Ignored("directory-record")
    code = code_strings.modality(text(dataset, "Modality"), sop_class)
    if code in (*code_strings.RADIOGRAPHS, code_strings.ULTRASOUND):
        return code
    if code in code_strings.NO_IMAGES:
        raise Ignored("not-an-image")  # a report, a presentation state, a plan
    if code is not None:
        raise Reject("not-a-joint-modality", "header", code if code in code_strings.OTHER_MODALITIES else "")
    if found.cut:
        raise Reject("truncated", "header")
    if found.pixels is not None:
        return _assumed(options)
    raise Reject("corrupt", "header", "neither a modality nor pixels")


def _assumed(options: ReadOptions) -> str:
    if options.pictures is None:
        raise Reject("no-modality", "header")
    return code_strings.ULTRASOUND if options.pictures == "ultrasound" else "RG"


def _boxes(dataset: Dataset, options: ReadOptions) -> tuple[Box, ...] | None:
    return ultrasound_regions.kept(
        ultrasound_regions.tagged(dataset),
        options,
        manufacturer=text(dataset, "Manufacturer"),
        model=text(dataset, "ManufacturerModelName"),
        rows=number(dataset, "Rows") or 0,
        columns=number(dataset, "Columns") or 0,
    )


# ---- The layout of the samples


def _layout(found: Elements, limits: Limits) -> Layout:
    dataset = found.dataset
    if found.syntax not in (*transfer_syntaxes.NATIVE, transfer_syntaxes.RLE, *transfer_syntaxes.COMPRESSED):
        raise Reject("unsupported-syntax", "header")
    photometric = (text(dataset, "PhotometricInterpretation") or "").upper()
    allocated = number(dataset, "BitsAllocated") or 0
    layout = Layout(
        syntax=found.syntax,
        rows=number(dataset, "Rows") or 0,
        columns=number(dataset, "Columns") or 0,
        samples=number(dataset, "SamplesPerPixel") or 1,
        frames=number(dataset, "NumberOfFrames") or 1,
        allocated=allocated,
        stored=number(dataset, "BitsStored") or allocated,
        high=_or(number(dataset, "HighBit"), (number(dataset, "BitsStored") or allocated) - 1),
        signed=number(dataset, "PixelRepresentation") == 1,
        photometric=photometric,
        planar=number(dataset, "PlanarConfiguration") or 0,
        words=found.pixel_vr == "OW",
    )
    check_layout(layout, limits)
    return layout


def _or(value: int | None, other: int) -> int:
    return other if value is None else value


def check_layout(layout: Layout, limits: Limits) -> None:
    """Reject a layout that contradicts itself, is neither grey nor colour, or is beyond the limits."""
    if layout.rows <= 0 or layout.columns <= 0 or layout.frames <= 0:
        raise Reject("corrupt", "header", "rows, columns or frames")
    if layout.photometric not in (*_GREY, *_COLOUR, PALETTE):
        raise Reject("unsupported-syntax", "header", "photometric interpretation")
    if layout.samples != (3 if layout.photometric in _COLOUR else 1):
        raise Reject("corrupt", "header", "samples that contradict the photometric interpretation")
    if layout.allocated not in (8, 16):
        raise Reject("not-grey-or-colour", "header", "bits allocated")
    if not 1 <= layout.stored <= layout.allocated or layout.high >= layout.allocated or layout.planar not in (0, 1):
        raise Reject("corrupt", "header", "bits stored, high bit or planar configuration")
    pixels = layout.rows * layout.columns
    size = pixels * layout.samples * layout.allocated // 8
    if pixels > limits.pixels or layout.frames > limits.frames or size * layout.frames > limits.decoded_bytes:
        raise Reject("too-large", "header", "pixels or frames above the limits")


# ---- The allow-list


def read_header(dataset: Dataset, modality: str) -> Header:
    """The header's allow-listed part; what is missing or malformed is None, never an error."""
    studied = next(
        (d for k in ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate") if (d := _date(text(dataset, k)))),
        None,
    )
    return Header(
        sop_uid=text(dataset, "SOPInstanceUID"),
        patient_id=text(dataset, "PatientID"),
        study_uid=text(dataset, "StudyInstanceUID"),
        series_uid=text(dataset, "SeriesInstanceUID"),
        study_date=studied,
        sex=code_strings.sex(text(dataset, "PatientSex")),
        age_years=_age(text(dataset, "PatientAge"), _date(text(dataset, "PatientBirthDate")), studied),
        modality=modality,
        body_part=code_strings.body_part(text(dataset, "BodyPartExamined")),
        view_position=code_strings.view_position(text(dataset, "ViewPosition")),
        laterality=code_strings.laterality(text(dataset, "Laterality") or text(dataset, "ImageLaterality")),
        manufacturer=code_strings.manufacturer(text(dataset, "Manufacturer")),
        spacing_mm=ultrasound_regions.spacing_mm(dataset) if modality == code_strings.ULTRASOUND else _spacing(dataset),
        source_uid=_source(dataset),
        burned_in={"YES": True, "NO": False}.get((text(dataset, "BurnedInAnnotation") or "").upper()),
    )


def _source(dataset: Dataset) -> str | None:
    """The first instance that the header says the image was derived from."""
    found = value(dataset, "SourceImageSequence")
    return text(found[0], "ReferencedSOPInstanceUID") if found else None


def value(dataset: Dataset, name: str | int) -> Any:
    """An element's value, or None where it is missing, empty or malformed."""
    try:
        found = dataset[name].value if name in dataset else None
    except Exception:  # noqa: BLE001 - a hostile value may make pydicom raise anything; a missing one is what it is
        return None
    return None if found is None or found == "" else found


def _first(found: Any) -> Any:
    """The first of several values."""
    if isinstance(found, (str, bytes)) or not hasattr(found, "__getitem__"):
        return found
    return found[0] if len(found) else None


def text(dataset: Dataset, name: str) -> str | None:
    """A text value, stripped, or None."""
    found = _first(value(dataset, name))
    return str(found).strip("\0 ") or None if isinstance(found, str) else None


def _parsed(dataset: Dataset, name: str | int, kind: Callable[[Any], Any]) -> Any:
    try:
        return kind(_first(value(dataset, name)))
    except (TypeError, ValueError, OverflowError):
        return None


def number(dataset: Dataset, name: str | int) -> int | None:
    """A whole number, or None."""
    found: int | None = _parsed(dataset, name, int)
    return found


def real(dataset: Dataset, name: str) -> float | None:
    """A finite number, or None."""
    found: float | None = _parsed(dataset, name, float)
    return found if found is not None and math.isfinite(found) else None


def _date(found: str | None) -> date | None:
    match = re.match(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})", found or "")
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None


def _age(age: str | None, birth: date | None, studied: date | None) -> int | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY])", (age or "").upper())
    if match:
        return int(int(match[1]) * {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1}[match[2]])
    if birth is None or studied is None or birth > studied:
        return None
    return studied.year - birth.year - ((studied.month, studied.day) < (birth.month, birth.day))


def _spacing(dataset: Dataset) -> float | None:
    for name in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = real(dataset, name)
        if spacing is not None and 0.005 <= spacing <= 5:
            return spacing
    return None
