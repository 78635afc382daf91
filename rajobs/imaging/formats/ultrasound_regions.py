"""Where the ultrasound image is on the screen: the rest may show names, dates and hospitals, and is blanked."""

import csv
import io
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from rajobs.imaging.image import Box, Mask, ReadOptions
from rajobs.records.errors import BadTable, Reject, UsageError
from rajobs.records.store import read_text
from rajobs.records.user_tables import separator

_SEQUENCE = "SequenceOfUltrasoundRegions"
_IMAGE_FORMATS = (1, 2, 3)  # region spatial formats: two-dimensional, M-mode, spectral; others show text
_CENTIMETRES = 3
_WHOLE = 0.95  # share of a screen, from which a region is all of it
MASK_COLUMNS = ("manufacturer", "model", "rows", "columns", "x0", "y0", "x1", "y1")


def _read_regions(dataset: Dataset) -> list[Dataset]:
    try:
        return list(dataset.get(_SEQUENCE) or ())
    except Exception:  # noqa: BLE001 - a broken sequence may make pydicom raise anything; it has no regions then
        return []


def _read_int(item: Dataset, name: str) -> int | None:
    try:
        value: Any = item.get(name)
        return None if value is None else int(value)
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError):
        return None


def _is_image(item: Dataset) -> bool:
    return _read_int(item, "RegionSpatialFormat") in (None, *_IMAGE_FORMATS)


def read_region_boxes(dataset: Dataset) -> tuple[Box, ...]:
    """The boxes of the region sequence that show images."""
    boxes = []
    for item in _read_regions(dataset):
        box = tuple(_read_int(item, f"RegionLocation{edge}") for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
        if _is_image(item) and None not in box:
            boxes.append(box)
    return tuple(boxes)  # type: ignore[arg-type]


def read_spacing_mm(dataset: Dataset) -> float | None:
    """Millimetres per pixel in the first region that states them."""
    for item in _read_regions(dataset):
        if _is_image(item) and _read_int(item, "PhysicalUnitsXDirection") == _CENTIMETRES:
            delta = abs(float(item.get("PhysicalDeltaX") or 0)) * 10
            if 0.001 <= delta <= 5:
                return delta
    return None


def select_boxes(
    region_boxes: tuple[Box, ...],
    options: ReadOptions,
    *,
    manufacturer: str | None,
    model: str | None,
    rows: int,
    columns: int,
) -> tuple[Box, ...] | None:
    """The boxes to keep: the header's, else a matching mask's; None keeps everything, if the user allows that."""
    inside = [clipped for box in region_boxes if (clipped := _clip_box(box, rows, columns))]
    if inside:
        return tuple(inside)
    for mask in options.masks:
        if _matches(mask, manufacturer, model, rows, columns):
            return tuple(clipped for box in mask.boxes if (clipped := _clip_box(box, rows, columns)))
    if options.ultrasound_regions == "all":
        return None
    raise Reject("no-region", "region")


def _clip_box(box: Box, rows: int, columns: int) -> Box | None:
    """The part of a box inside the image, None if there is none."""
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), min(columns - 1, box[2]), min(rows - 1, box[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def fill_screen(boxes: tuple[Box, ...], rows: int, columns: int) -> bool:
    """Whether boxes leave next to nothing of a screen outside."""
    inside = [clipped for box in boxes if (clipped := _clip_box(box, rows, columns))]
    if not inside or sum((x1 - x0 + 1) * (y1 - y0 + 1) for x0, y0, x1, y1 in inside) < _WHOLE * rows * columns:
        return False
    return float(blank_outside(np.ones((rows, columns), np.uint8), tuple(inside)).mean()) >= _WHOLE


def _matches(mask: Mask, manufacturer: str | None, model: str | None, rows: int, columns: int) -> bool:
    return (mask.rows, mask.columns) == (rows, columns) and all(
        expected is None or expected.casefold() == (actual or "").casefold()
        for expected, actual in ((mask.manufacturer, manufacturer), (mask.model, model))
    )


def blank_outside(pixels: NDArray[Any], boxes: tuple[Box, ...] | None) -> NDArray[Any]:
    """The pixels inside the boxes, black elsewhere."""
    if boxes is None:
        return pixels
    out = np.zeros_like(pixels)
    for x0, y0, x1, y1 in boxes:
        out[y0 : y1 + 1, x0 : x1 + 1] = pixels[y0 : y1 + 1, x0 : x1 + 1]
    return out


def read_options(pictures: str | None, ultrasound_regions: str, burned_in: bool, modalities: str = "") -> ReadOptions:
    """The options of a command line: `ultrasound_regions` is tagged, all or the URI of a mask file."""
    options = ReadOptions(pictures=pictures, burned_in=burned_in, modalities=_read_list(modalities))
    if ultrasound_regions in ("tagged", "all"):
        return replace(options, ultrasound_regions=ultrasound_regions)
    try:
        masks = load_masks(read_text(ultrasound_regions, "mask file"))
    except UsageError as error:
        raise UsageError(f"--ultrasound-regions must be tagged or all or a mask file; {error}") from None
    return replace(options, masks=masks)


def _read_list(names: str) -> tuple[str, ...]:
    """The names of a list with commas, each once, in their order."""
    return tuple(sorted({name.strip().upper() for name in names.split(",") if name.strip()}))


def load_masks(text: str) -> tuple[Mask, ...]:
    """The masks of a CSV with MASK_COLUMNS, one row per box; an empty manufacturer or model matches any."""
    text = text.removeprefix("\ufeff")  # which Excel's "CSV UTF-8" begins with
    reader = csv.DictReader(io.StringIO(text), delimiter=separator(text.partition("\n")[0]))
    missing = [name for name in MASK_COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise BadTable(f"the mask file lacks {', '.join(missing)}; it needs {', '.join(MASK_COLUMNS)}")
    boxes: dict[tuple[str | None, str | None, int, int], list[Box]] = {}
    for number, row in enumerate(reader, start=2):
        try:
            rows, columns, x0, y0, x1, y1 = (int(row[name]) for name in MASK_COLUMNS[2:])
        except (TypeError, ValueError):
            raise BadTable(f"line {number} of the mask file: rows, columns and box must be whole numbers") from None
        if not (0 <= x0 < x1 < columns and 0 <= y0 < y1 < rows):
            raise BadTable(f"line {number} of the mask file: the box must lie within rows and columns")
        manufacturer, model = row["manufacturer"].strip() or None, row["model"].strip() or None
        boxes.setdefault((manufacturer, model, rows, columns), []).append((x0, y0, x1, y1))
    return tuple(
        Mask(manufacturer=manufacturer, model=model, rows=rows, columns=columns, boxes=tuple(machine_boxes))
        for (manufacturer, model, rows, columns), machine_boxes in boxes.items()
    )
