"""Where on an ultrasound screen the ultrasound is: the rest holds names, dates and hospitals, and is blanked."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from rajobs.imaging.image import Box, Mask, ReadOptions
from rajobs.records.errors import BadTable, Reject, UsageError
from rajobs.records.store import read_text
from rajobs.records.user_tables import separator

_SEQUENCE = "SequenceOfUltrasoundRegions"
_IMAGES = (1, 2, 3)  # region spatial formats: two-dimensional, M-mode, spectral; graphics and curves hold text
_CENTIMETRES = 3
MASK_COLUMNS = ("manufacturer", "model", "rows", "columns", "x0", "y0", "x1", "y1")


def _items(dataset: Dataset) -> list[Dataset]:
    try:
        return list(dataset.get(_SEQUENCE) or ())
    except Exception:  # noqa: BLE001 - a broken sequence may make pydicom raise anything; it is no region then
        return []


def _whole(item: Dataset, name: str) -> int | None:
    try:
        found: Any = item.get(name)
        return None if found is None else int(found)
    except (TypeError, ValueError, KeyError, OverflowError, AttributeError):
        return None


def _is_image(item: Dataset) -> bool:
    return _whole(item, "RegionSpatialFormat") in (None, *_IMAGES)


def tagged(dataset: Dataset) -> tuple[Box, ...]:
    """The boxes of the region sequence that hold images."""
    boxes = []
    for item in _items(dataset):
        box = tuple(_whole(item, f"RegionLocation{edge}") for edge in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
        if _is_image(item) and None not in box:
            boxes.append(box)
    return tuple(boxes)  # type: ignore[arg-type]


def spacing_mm(dataset: Dataset) -> float | None:
    """Millimetres a pixel of the first region that states them."""
    for item in _items(dataset):
        if _is_image(item) and _whole(item, "PhysicalUnitsXDirection") == _CENTIMETRES:
            delta = abs(float(item.get("PhysicalDeltaX") or 0)) * 10
            if 0.001 <= delta <= 5:
                return delta
    return None


def kept(
    tags: tuple[Box, ...],
    options: ReadOptions,
    *,
    manufacturer: str | None,
    model: str | None,
    rows: int,
    columns: int,
) -> tuple[Box, ...] | None:
    """The boxes to keep: the header's, else a mask's; None is everything, as the user may have asked."""
    inside = [b for box in tags if (b := _clipped(box, rows, columns))]
    if inside:
        return tuple(inside)
    for mask in options.masks:
        if _fits(mask, manufacturer, model, rows, columns):
            return tuple(b for box in mask.boxes if (b := _clipped(box, rows, columns)))
    if options.ultrasound_regions == "all":
        return None
    raise Reject("no-region", "region")


def _clipped(box: Box, rows: int, columns: int) -> Box | None:
    x0, y0, x1, y1 = max(0, box[0]), max(0, box[1]), min(columns - 1, box[2]), min(rows - 1, box[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _fits(mask: Mask, manufacturer: str | None, model: str | None, rows: int, columns: int) -> bool:
    return (mask.rows, mask.columns) == (rows, columns) and all(
        wanted is None or wanted.casefold() == (found or "").casefold()
        for wanted, found in ((mask.manufacturer, manufacturer), (mask.model, model))
    )


def blanked(pixels: NDArray[Any], boxes: tuple[Box, ...] | None) -> NDArray[Any]:
    """The pixels inside the boxes, black elsewhere."""
    if boxes is None:
        return pixels
    out = np.zeros_like(pixels)
    for x0, y0, x1, y1 in boxes:
        out[y0 : y1 + 1, x0 : x1 + 1] = pixels[y0 : y1 + 1, x0 : x1 + 1]
    return out


_STRONG = 80  # of 255: how far apart a coloured pixel's channels lie
_APART = 56  # of 255: how far it lies from what the frame's own map makes of its brightness
_LIT = 32  # of 255: a darker pixel is too dark to tell a tint by
_ASKED = 20_000  # pixels that tell a tint


def has_colour(pixels: NDArray[Any]) -> bool:
    """A colour signal: strongly coloured pixels, more than a tinted map, green markers or stray dots would show."""
    if pixels.ndim == 2:
        return False
    red, green, blue = (pixels[..., i].astype(np.int16) for i in range(3))
    warm_or_cold = np.maximum(red, blue)
    chroma = np.maximum(warm_or_cold, green) - np.minimum(np.minimum(red, blue), green)
    strong = (chroma > _STRONG) & (green <= warm_or_cold + 20)
    enough = max(12, strong.size // 20_000)
    if strong.sum() <= enough:
        return False
    tint = _tint(pixels[(chroma <= _STRONG) & (np.maximum(warm_or_cold, green) > _LIT)])
    found = pixels[strong].astype(np.float64)
    apart = np.abs(found - found.max(axis=1, keepdims=True) * tint).max(axis=1)
    return bool((apart > _APART).sum() > enough)


def _tint(weak: NDArray[Any]) -> NDArray[np.float64]:
    """The channels' shares of the brightest one in a frame's map of grey, by pixels too weakly coloured to be flow."""
    if not len(weak):
        return np.ones(3)
    some = weak[:: 1 + len(weak) // _ASKED].astype(np.float64)
    return np.asarray(np.median(some / some.max(axis=1, keepdims=True), axis=0))


def read_options(pictures: str | None, ultrasound_regions: str, burned_in: bool) -> ReadOptions:
    """The options as a person gives them: `ultrasound_regions` is tagged, all or the place of a mask file."""
    if ultrasound_regions in ("tagged", "all"):
        return ReadOptions(pictures=pictures, ultrasound_regions=ultrasound_regions, burned_in=burned_in)
    try:
        masks = load_masks(read_text(ultrasound_regions, "mask file"))
    except UsageError as error:
        raise UsageError(f"--ultrasound-regions must be tagged or all or a mask file; {error}") from None
    return ReadOptions(pictures=pictures, masks=masks, burned_in=burned_in)


def load_masks(text: str) -> tuple[Mask, ...]:
    """The masks of a CSV with the columns MASK_COLUMNS: a row a box; an empty maker or model stands for any."""
    text = text.removeprefix("\ufeff")  # of a spreadsheet's "CSV UTF-8"
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
        maker, model = row["manufacturer"].strip() or None, row["model"].strip() or None
        boxes.setdefault((maker, model, rows, columns), []).append((x0, y0, x1, y1))
    return tuple(_mask(*key, found) for key, found in boxes.items())


def _mask(maker: str | None, model: str | None, rows: int, columns: int, boxes: Iterable[Box]) -> Mask:
    return Mask(manufacturer=maker, model=model, rows=rows, columns=columns, boxes=tuple(boxes))
