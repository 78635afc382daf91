"""Reading files that are not trusted: header and pixels, in a child process that may hang, crash or run out of memory.

One child serves thousands of files. A request is a line of JSON; the file and the pixels are passed through two unnamed
files in memory.
"""

import dataclasses
from collections.abc import Iterator
from datetime import date
from typing import Any

import numpy as np

from rajobs.imaging import file_types
from rajobs.imaging.child_process.child import ATTEMPTS, Child, ChildUser
from rajobs.imaging.child_process.exchange import (
    ChildDied,
    ExchangeBytes,
    empty_if_large,
    read_exchange_into,
    write_exchange,
)
from rajobs.imaging.formats.reader import header_seconds
from rajobs.imaging.image import Header, Ignored, Image, ReadOptions
from rajobs.records.errors import Reject


class Decoder(ChildUser):
    """Reads files in a child process."""

    def __init__(self, members: int | None = None) -> None:
        """`members` is the exchange file of an ArchiveReader, whose members are then read where they lie."""
        super().__init__("rajobs.imaging.child_process.file_main", members)

    def read(self, data: bytes | ExchangeBytes, options: ReadOptions) -> list[Image]:
        """All images of a file, or its Reject or Ignored."""
        head = (data if isinstance(data, bytes) else data.view())[: file_types.FILE_HEAD_BYTES]
        if file_types.detect_file_type(bytes(head)) is None:
            raise Ignored("not-an-image")
        for _ in range(ATTEMPTS):
            child = self.start()
            try:
                return list(_read_images(child, data, options))
            except ChildDied as died:
                self.close()
                if died.over_time:
                    break  # it would take as long again
        raise Reject("decoder-crashed", "decode")


def _read_images(child: Child, data: bytes | ExchangeBytes, options: ReadOptions) -> Iterator[Image]:
    """The images of a file as the child reads them."""
    is_member = isinstance(data, ExchangeBytes)
    start = data.start if isinstance(data, ExchangeBytes) else 0
    if isinstance(data, bytes):
        write_exchange(child.to_child, data)
    fields = dataclasses.asdict(options)
    child.send({"size": len(data), "start": start, "is_member": is_member, "options": fields})
    seconds = header_seconds(options.limits, len(data))
    while True:
        answer = child.receive(seconds)
        if "frame_seconds" in answer:
            seconds = answer["frame_seconds"]
            continue
        if "image" in answer:
            yield _take_image(child, answer["image"])
            child.send({})
            continue
        empty_if_large(child.to_child)
        empty_if_large(child.from_child)
        if "reject" in answer:
            raise Reject(*answer["reject"])
        if "ignored" in answer:
            raise Ignored(answer["ignored"])
        return


def _take_image(child: Child, description: dict[str, Any]) -> Image:
    """The image whose pixels are in the exchange file."""
    pixels = np.empty(description["shape"], np.dtype(description["dtype"]))
    read_exchange_into(child.from_child, pixels.reshape(-1).view(np.uint8).data)
    return Image(
        pixels=pixels,
        bits=description["bits"],
        window=tuple(description["window"]) if description["window"] else None,
        frame=description["frame"],
        doppler=description["doppler"],
        blanked=description["blanked"],
        header=_header_from_json(description["header"]),
    )


def _header_from_json(fields: dict[str, Any]) -> Header:
    day = fields.pop("study_date")
    return Header(study_date=date.fromisoformat(day) if day else None, **fields)
