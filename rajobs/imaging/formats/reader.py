"""Files to images by their content: DICOM, a picture or a loop. Everything else is not an image."""

from collections.abc import Iterator
from dataclasses import dataclass

from rajobs.imaging import file_types
from rajobs.imaging.burned_in_text.blanking import blank_text
from rajobs.imaging.formats import pictures, pixel_values, video
from rajobs.imaging.formats.dicom_header import DicomFile, parse_dicom_file
from rajobs.imaging.formats.transfer_syntaxes import Layout
from rajobs.imaging.image import Ignored, Image, ReadOptions
from rajobs.imaging.limits import MIB, Limits
from rajobs.records.errors import Reject


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadPlan:
    """A file that is wanted, with its header parsed and its pixels not yet decoded."""

    data: bytes | memoryview
    kind: str
    dicom: DicomFile | None
    options: ReadOptions

    @property
    def frame_seconds(self) -> float:
        """The CPU time that decoding a frame may take."""
        return frame_seconds(self.options.limits, self.dicom.layout if self.dicom else None)

    def decode(self) -> Iterator[Image]:
        """The images, one after the other."""
        if self.dicom is not None:
            return pixel_values.decode_images(self.dicom, self.options.limits)
        if self.kind in file_types.LOOPS:
            return video.decode_frames(bytes(self.data), self.options)
        return pictures.decode_pages(bytes(self.data), self.kind, self.options)


def header_seconds(limits: Limits, size: int) -> float:
    """The CPU time that all of a file but its pixels may take."""
    return limits.header_seconds + limits.header_seconds_per_mib * size / MIB


def frame_seconds(limits: Limits, layout: Layout | None) -> float:
    """The CPU time that decoding a frame may take; a tenth of the largest frame's where its size is not known."""
    megapixels = layout.rows * layout.columns / 1e6 if layout else limits.pixels / 1e7
    return limits.decode_seconds + limits.decode_seconds_per_megapixel * megapixels


def plan_read(data: bytes | memoryview, options: ReadOptions) -> ReadPlan:
    """Parse a file's header and decide whether it is wanted: the plan, or the file's Reject or Ignored."""
    kind = file_types.detect_file_type(bytes(data[: file_types.FILE_HEAD_BYTES]))
    if kind is None:
        raise Ignored("not-an-image")
    if kind == file_types.DAMAGED:
        raise Reject("truncated" if len(data) <= 132 else "corrupt", "header", "first bytes")
    dicom = None
    try:
        if kind == "dicom":
            dicom = parse_dicom_file(memoryview(data), options)
        else:
            data = bytes(data)
            pictures.check_complete(data, kind)
            pictures.check_wanted(kind, options)
    except (Reject, Ignored):
        raise
    except MemoryError:
        raise Reject("too-large", "header", "memory") from None
    except Exception as error:  # noqa: BLE001 - a hostile header may make a library raise anything
        raise Reject("corrupt", "header", type(error).__name__) from None
    return ReadPlan(data=data, kind=kind, dicom=dicom, options=options)


def read_file(data: bytes | memoryview, options: ReadOptions) -> list[Image]:
    """All images of a file, decoded in this process: use sandbox.Decoder for files that are not trusted."""
    return list(read_planned(plan_read(data, options)))


def read_planned(plan: ReadPlan) -> Iterator[Image]:
    """The images of a planned read; whatever goes wrong is raised as a Reject."""
    count = 0
    try:
        for image in plan.decode():
            count += 1
            is_film = image.header.modality != "US"
            yield blank_text(image) if is_film and not plan.options.burned_in else image
    except (Reject, Ignored):
        raise
    except MemoryError:
        raise Reject("too-large", "decode", "memory") from None
    except Exception as error:  # noqa: BLE001 - a hostile file may make a decoder raise anything
        raise Reject("corrupt", "decode", type(error).__name__) from None
    if not count:
        raise Reject("corrupt", "decode", "no frames")
