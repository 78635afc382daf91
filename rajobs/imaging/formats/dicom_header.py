"""A DICOM file's header: whether its image is wanted, how its samples are stored, and the allow-listed part of it."""

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

from rajobs.imaging.formats import code_strings, transfer_syntaxes, ultrasound_regions
from rajobs.imaging.formats.dicom_elements import Elements, read_elements
from rajobs.imaging.formats.transfer_syntaxes import Layout
from rajobs.imaging.image import Box, Header, Ignored, ReadOptions, modality_hint
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject
from rajobs.records.identity import patient_name

_COLOURS = ("Red", "Green", "Blue")
_WANTED_NAMES = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "PatientID", "StudyInstanceUID", "SeriesInstanceUID"),
    *("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "PatientSex", "PatientAge", "PatientBirthDate"),
    *("Modality", "BodyPartExamined", "ViewPosition", "Laterality", "ImageLaterality", "Manufacturer"),
    *("ManufacturerModelName", "PixelSpacing", "PixelSpacingCalibrationType", "ImagerPixelSpacing"),
    *("NominalScannedPixelSpacing", "BurnedInAnnotation", "IssuerOfPatientID"),
    *("PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns", "BitsAllocated"),
    *("SamplesPerPixel", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("WindowCenter", "WindowWidth", "RescaleIntercept", "RescaleSlope"),
)
_TABLE_NAMES = (
    *("SourceImageSequence", "SequenceOfUltrasoundRegions", "ModalityLUTSequence", "VOILUTSequence"),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in _COLOURS),
    *(f"{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
)
OVERLAY_BIT_POSITIONS = tuple(range(0x60000102, 0x60200102, 0x20000))
_TABLE_TAGS = frozenset(int(Tag(name)) for name in _TABLE_NAMES)
_WANTED_TAGS = frozenset((*(int(Tag(name)) for name in _WANTED_NAMES), *_TABLE_TAGS, *OVERLAY_BIT_POSITIONS))
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_RCT", "YBR_ICT")
PALETTE = "PALETTE COLOR"
SAME_SPACING = 1e-3  # relative difference of two spacings that are the same but for rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class DicomFile:
    """A DICOM file whose image is wanted, before its pixels are decoded."""

    dataset: Dataset
    header: Header
    layout: Layout
    pixels: memoryview
    boxes: tuple[Box, ...] | None  # where the ultrasound is on the screen; None: the whole image is kept


@contextmanager
def silence_pydicom() -> Iterator[None]:
    """Suppress pydicom's warnings, which quote the header; its log stays silent afterwards, too."""
    logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse_dicom_file(data: memoryview, options: ReadOptions) -> DicomFile:
    """Parse everything but the pixels, or raise the file's Reject or Ignored."""
    elements = read_elements(data, _WANTED_TAGS, _TABLE_TAGS, options.limits)
    with silence_pydicom():
        modality = _wanted_modality(elements, options)
        header = read_header(elements.dataset, modality)
        if elements.pixels is None:
            raise Reject("truncated" if elements.is_truncated else "no-pixels", "header")
        boxes = None
        if modality == code_strings.ULTRASOUND:
            boxes = _select_boxes(elements.dataset, options)
        keeps_text = modality != code_strings.ULTRASOUND or _is_all_region(elements.dataset)
        if header.burned_in and keeps_text and not options.burned_in:
            raise Reject("burned-in-annotation", "header")
        layout = _read_layout(elements, options.limits)
    if elements.is_truncated:
        raise Reject("truncated", "header", "pixel data ends before its length says")
    if elements.encapsulated == (layout.syntax in transfer_syntaxes.NATIVE):
        raise Reject("corrupt", "header", "encapsulation that contradicts the transfer syntax")
    return DicomFile(dataset=elements.dataset, header=header, layout=layout, pixels=elements.pixels, boxes=boxes)


def _wanted_modality(elements: Elements, options: ReadOptions) -> str:
    """The modality, if it is that of a radiograph or of ultrasound, or the file's Reject or Ignored."""
    sop_class = read_text(elements.dataset, "SOPClassUID") or elements.meta_sop_class or None
    if sop_class == code_strings.DIRECTORY_CLASS:
        raise Ignored("directory-record")
    code = code_strings.to_modality(read_text(elements.dataset, "Modality"), sop_class)
    if code in (*code_strings.RADIOGRAPHS, code_strings.ULTRASOUND):
        return code
    optional = None if elements.pixels is None else code_strings.optional_modality(code, sop_class)
    if optional is not None and optional in options.modalities:
        return code_strings.modality_of_class(sop_class)
    hint = modality_hint(optional) if optional is not None else ""
    if code in code_strings.NO_IMAGES:
        raise Ignored("not-an-image")  # a report, a presentation state, a plan
    if code is not None:
        raise Reject("not-a-joint-modality", "header", hint or (code if code in code_strings.OTHER_MODALITIES else ""))
    if elements.is_truncated:
        raise Reject("truncated", "header")
    if elements.pixels is not None:
        return _assume_modality(options, hint)
    raise Reject("corrupt", "header", "neither a modality nor pixels")


def _assume_modality(options: ReadOptions, hint: str) -> str:
    if options.pictures is None:
        raise Reject("no-modality", "header", hint)
    return code_strings.ULTRASOUND if options.pictures == "ultrasound" else "RG"


def _select_boxes(dataset: Dataset, options: ReadOptions) -> tuple[Box, ...] | None:
    return ultrasound_regions.select_boxes(
        ultrasound_regions.read_region_boxes(dataset),
        options,
        manufacturer=read_text(dataset, "Manufacturer"),
        model=read_text(dataset, "ManufacturerModelName"),
        rows=read_int(dataset, "Rows") or 0,
        columns=read_int(dataset, "Columns") or 0,
    )


def _is_all_region(dataset: Dataset) -> bool:
    """Whether the header's regions fill the screen, so that text which it says is there lies inside them."""
    rows, columns = read_int(dataset, "Rows") or 0, read_int(dataset, "Columns") or 0
    return ultrasound_regions.fill_screen(ultrasound_regions.read_region_boxes(dataset), rows, columns)


# ---- The layout of the samples


def _read_layout(elements: Elements, limits: Limits) -> Layout:
    dataset = elements.dataset
    if elements.syntax not in (*transfer_syntaxes.NATIVE, transfer_syntaxes.RLE, *transfer_syntaxes.COMPRESSED):
        raise Reject("unsupported-syntax", "header")
    allocated = read_int(dataset, "BitsAllocated") or 0
    samples = read_int(dataset, "SamplesPerPixel") or 1
    photometric = (read_text(dataset, "PhotometricInterpretation") or "").upper()
    high = read_int(dataset, "HighBit")
    layout = Layout(
        syntax=elements.syntax,
        rows=read_int(dataset, "Rows") or 0,
        columns=read_int(dataset, "Columns") or 0,
        samples=samples,
        frames=read_int(dataset, "NumberOfFrames") or 1,
        allocated=allocated,
        stored=read_int(dataset, "BitsStored") or allocated,
        high=(read_int(dataset, "BitsStored") or allocated) - 1 if high is None else high,
        signed=read_int(dataset, "PixelRepresentation") == 1,
        photometric=photometric or ("MONOCHROME2" if samples == 1 else ""),
        planar=read_int(dataset, "PlanarConfiguration") or 0,
        words=elements.pixel_vr == "OW",
    )
    _check_layout(layout, limits)
    return layout


def _check_layout(layout: Layout, limits: Limits) -> None:
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
    """The allow-listed part of a header; a missing or malformed value is None, never an error."""
    date_names = ("StudyDate", "AcquisitionDate", "SeriesDate", "ContentDate")
    study_date = next((day for name in date_names if (day := _parse_date(read_text(dataset, name)))), None)
    spacing, plane = _read_spacing(dataset, modality)
    return Header(
        sop_uid=read_text(dataset, "SOPInstanceUID"),
        patient_id=_read_patient_id(dataset),
        study_uid=read_text(dataset, "StudyInstanceUID"),
        series_uid=read_text(dataset, "SeriesInstanceUID"),
        study_date=study_date,
        sex=code_strings.to_sex(read_text(dataset, "PatientSex")),
        age_years=_age_years(
            read_text(dataset, "PatientAge"), _parse_date(read_text(dataset, "PatientBirthDate")), study_date
        ),
        modality=modality,
        body_part=code_strings.to_body_part(read_text(dataset, "BodyPartExamined")),
        view_position=code_strings.to_view_position(read_text(dataset, "ViewPosition")),
        laterality=code_strings.to_laterality(
            read_text(dataset, "Laterality") or read_text(dataset, "ImageLaterality")
        ),
        manufacturer=code_strings.to_manufacturer(read_text(dataset, "Manufacturer")),
        spacing_mm=spacing,
        spacing_plane=plane,
        source_uid=_read_source_uid(dataset),
        burned_in={"YES": True, "NO": False}.get((read_text(dataset, "BurnedInAnnotation") or "").upper()),
    )


def _read_patient_id(dataset: Dataset) -> str | None:
    """The patient's ID with its issuer, or None."""
    patient_id = read_text(dataset, "PatientID")
    return None if patient_id is None else patient_name(patient_id, read_text(dataset, "IssuerOfPatientID"))


def _read_source_uid(dataset: Dataset) -> str | None:
    """The first instance that the header says the image was derived from."""
    items = read_value(dataset, "SourceImageSequence")
    return read_text(items[0], "ReferencedSOPInstanceUID") if items else None


def read_value(dataset: Dataset, name: str | int) -> Any:
    """An element's value, or None where it is missing, empty or malformed."""
    try:
        value = dataset[name].value if name in dataset else None
    except Exception:  # noqa: BLE001 - a hostile value may make pydicom raise anything; it counts as missing
        return None
    return None if value is None or value == "" else value


def _first_value(value: Any) -> Any:
    """The first value of an element that may have several."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__getitem__"):
        return value
    return value[0] if len(value) else None


def read_text(dataset: Dataset, name: str) -> str | None:
    """A text value, stripped, or None."""
    text = _first_value(read_value(dataset, name))
    return str(text).strip("\0 ") or None if isinstance(text, str) else None


def _convert_value(dataset: Dataset, name: str | int, convert: Callable[[Any], Any]) -> Any:
    try:
        return convert(_first_value(read_value(dataset, name)))
    except (TypeError, ValueError, OverflowError):
        return None


def read_int(dataset: Dataset, name: str | int) -> int | None:
    """A whole number, or None."""
    number: int | None = _convert_value(dataset, name, int)
    return number


def read_float(dataset: Dataset, name: str) -> float | None:
    """A finite number, or None."""
    number: float | None = _convert_value(dataset, name, float)
    return number if number is not None and math.isfinite(number) else None


def _parse_date(text: str | None) -> date | None:
    match = re.match(r"(\d{4})[.\-/]?(\d{2})[.\-/]?(\d{2})", text or "")
    try:
        return date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        return None


def _age_years(age: str | None, birth_date: date | None, study_date: date | None) -> int | None:
    match = re.fullmatch(r"(\d{1,3})([DWMY])", (age or "").upper())
    if match:
        return int(int(match[1]) * {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1}[match[2]])
    if birth_date is None or study_date is None or birth_date > study_date:
        return None
    before_birthday = (study_date.month, study_date.day) < (birth_date.month, birth_date.day)
    return study_date.year - birth_date.year - before_birthday


def _read_spacing(dataset: Dataset, modality: str) -> tuple[float | None, str | None]:
    """Millimetres between pixels and the plane that they are measured in (DICOM PS3.3, 10.7.1.3).

    Imager Pixel Spacing is the detector's, and so is a Pixel Spacing that equals it; one that differs was calibrated to
    the patient. A Pixel Spacing alone tells its plane only where the header names the calibration.
    """
    if modality == code_strings.ULTRASOUND:
        in_region = ultrasound_regions.read_spacing_mm(dataset)
        return in_region, None if in_region is None else "patient"
    tags = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
    pixel, imager, scanned = (_plausible_spacing(read_float(dataset, name)) for name in tags)
    if pixel is None:
        return imager or scanned, "detector" if imager or scanned else None
    if imager is not None:
        return pixel, "detector" if math.isclose(pixel, imager, rel_tol=SAME_SPACING) else "patient"
    return pixel, "patient" if read_text(dataset, "PixelSpacingCalibrationType") in ("GEOMETRY", "FIDUCIAL") else None


def _plausible_spacing(spacing: float | None) -> float | None:
    return spacing if spacing is not None and 0.005 <= spacing <= 5 else None
