"""Bytes to images, by what is in them: DICOM, a picture or a loop. Everything else is no image."""

from collections.abc import Iterator
from dataclasses import dataclass

from rajobs.imaging import file_types
from rajobs.imaging.fates import Ignored
from rajobs.imaging.formats import dicom_header, pictures, pixel_values, video
from rajobs.imaging.formats.dicom_header import Scan
from rajobs.imaging.image import Image, ReadOptions
from rajobs.records.errors import Reject


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """An object that is wanted, before its pixels are read; `safe` needs no child process."""

    data: bytes
    kind: str
    scan: Scan | None
    options: ReadOptions

    @property
    def safe(self) -> bool:
        return self.scan is not None and self.scan.safe

    def images(self) -> Iterator[Image]:
        """The images, one after the other."""
        if self.scan is not None:
            return pixel_values.images(self.scan, self.options.limits)
        if self.kind in file_types.LOOPS:
            return video.images(self.data, self.options)
        return pictures.images(self.data, self.kind, self.options)


def plan(data: bytes, options: ReadOptions) -> Plan:
    """What an object is and whether it is wanted, or the Reject or Ignored that it ends in."""
    kind = file_types.kind_of(data)
    if kind is None:
        raise Ignored("not-an-image")
    if kind == file_types.DAMAGED:
        raise Reject("truncated" if len(data) <= 132 else "corrupt", "header", "first bytes")
    scan = None
    try:
        if kind == "dicom":
            scan = dicom_header.scan(data, options)
        else:
            pictures.check_whole(data, kind)
            pictures.check_wanted(kind, options)
    except (Reject, Ignored):
        raise
    except Exception as error:  # noqa: BLE001 - a hostile header may make a library raise anything: the file's fate
        raise Reject("corrupt", "header", type(error).__name__) from None
    return Plan(data=data, kind=kind, scan=scan, options=options)


def read_file(data: bytes, options: ReadOptions) -> list[Image]:
    """All images of an object, in this process: see sandbox.Decoder for files that are not trusted."""
    return list(frames(plan(data, options)))


def frames(planned: Plan) -> Iterator[Image]:
    """A plan's images; whatever goes wrong is a Reject."""
    found = 0
    try:
        for image in planned.images():
            found += 1
            yield image
    except (Reject, Ignored):
        raise
    except MemoryError:
        raise Reject("too-large", "decode", "memory") from None
    except Exception as error:  # noqa: BLE001 - a hostile file may make a decoder raise anything: the file's fate
        raise Reject("corrupt", "decode", type(error).__name__) from None
    if not found:
        raise Reject("corrupt", "decode", "no frames")
