"""The child process that reads files for sandbox.Decoder, header and pixels; it serves until its input ends."""

import dataclasses
import sys
from typing import Any

import numpy as np

from rajobs.imaging.child_process.exchange import map_exchange, write_exchange
from rajobs.imaging.child_process.limiting import (
    keep_memory,
    limit_memory,
    mapped_bytes,
    receive,
    send,
    start_timer,
    stop_timer,
)
from rajobs.imaging.formats.reader import header_seconds, plan_read, read_planned
from rajobs.imaging.image import Ignored, Image, Mask, ReadOptions
from rajobs.imaging.limits import Limits
from rajobs.records.errors import Reject


def main() -> None:
    """Answer requests until the parent closes the pipe or is gone."""
    source, target, members = map(int, sys.argv[1:])
    keep_memory()
    _load_decoders()
    mapped = mapped_bytes()
    while True:
        request = receive()
        options = _options_from_json(request["options"])
        limit_memory(mapped, options.limits)
        handle = members if request["is_member"] else source
        _answer(map_exchange(handle, request["size"], request["start"]), options, target)


def _load_decoders() -> None:
    """Load the usual decoders' libraries before memory is limited: what they map is not the files' fault."""
    import cv2
    from imagecodecs import dicomrle_decode, jpeg2k_decode, jpeg8_decode, jpegls_decode

    cv2.setNumThreads(1)  # as many of these processes as there are cores
    assert all((dicomrle_decode, jpeg2k_decode, jpeg8_decode, jpegls_decode))


def _options_from_json(fields: dict[str, Any]) -> ReadOptions:
    masks = tuple(Mask(**{**mask, "boxes": tuple(tuple(box) for box in mask["boxes"])}) for mask in fields["masks"])
    lists = {"masks": masks, "modalities": tuple(fields["modalities"])}
    return ReadOptions(**{**fields, **lists, "limits": Limits(**fields["limits"])})


def _answer(data: memoryview, options: ReadOptions, target: int) -> None:
    try:
        start_timer(header_seconds(options.limits, len(data)))
        plan = plan_read(data, options)
        stop_timer()
        send({"frame_seconds": plan.frame_seconds})
        start_timer(plan.frame_seconds)
        for image in read_planned(plan):
            stop_timer()
            write_exchange(target, np.ascontiguousarray(image.pixels).reshape(-1).view(np.uint8).data)
            send({"image": _describe_image(image)})
            receive()
            start_timer(plan.frame_seconds)
        stop_timer()
        send({"done": True})
    except Reject as reject:
        stop_timer()
        send({"reject": [reject.reason, reject.stage, reject.detail]})
    except Ignored as ignored:
        stop_timer()
        send({"ignored": ignored.reason})


def _describe_image(image: Image) -> dict[str, Any]:
    header = dataclasses.asdict(image.header)
    header["study_date"] = image.header.study_date.isoformat() if image.header.study_date else None
    return {
        "shape": image.pixels.shape,
        "dtype": image.pixels.dtype.str,
        "bits": image.bits,
        "window": image.window,
        "frame": image.frame,
        "doppler": image.doppler,
        "blanked": image.blanked,
        "header": header,
    }


if __name__ == "__main__":
    main()
