"""The decoding child: reads requests from its input until that ends. Started by sandbox.Decoder, never by hand."""

import dataclasses
import json
import mmap
import resource
import signal
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from rajobs.imaging.fates import Ignored
from rajobs.imaging.formats import reader
from rajobs.imaging.formats.reader import Plan
from rajobs.imaging.image import Image, Mask, ReadOptions
from rajobs.imaging.limits import Limits
from rajobs.imaging.memory import keep_memory
from rajobs.imaging.sandbox import put, whole
from rajobs.records.errors import Reject


def main() -> None:
    """Serves until the parent closes the pipe or is gone."""
    source, target = int(sys.argv[1]), int(sys.argv[2])
    keep_memory()
    _load_decoders()
    used = _address_space()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        options = options_from(request["options"])
        _bound_memory(used, options.limits)
        _answer(whole(source, request["size"]), options, target)


def _load_decoders() -> None:
    """Before memory is bounded: what the usual decoders' libraries map is not the files' fault."""
    from imagecodecs import jpeg2k_decode, jpeg8_decode, jpegls_decode

    assert all((jpeg2k_decode, jpeg8_decode, jpegls_decode))


def _address_space() -> int:
    """Bytes that are mapped now; 0 where that can't be told, and memory is then not bounded."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * mmap.PAGESIZE if statm.exists() else 0


def _bound_memory(used: int, limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if used:
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.child_bytes, resource.RLIM_INFINITY))


def options_from(found: dict[str, Any]) -> ReadOptions:
    """Options out of JSON."""
    masks = tuple(Mask(**{**m, "boxes": tuple(tuple(b) for b in m["boxes"])}) for m in found["masks"])
    return ReadOptions(**{**found, "masks": masks, "limits": Limits(**found["limits"])})


def _answer(data: bytes, options: ReadOptions, target: int) -> None:
    try:
        _start_timer(options.limits, None)
        plan = reader.plan(data, options)
        _start_timer(options.limits, plan)
        for image in reader.frames(plan):
            _stop_timer()
            put(target, np.ascontiguousarray(image.pixels).reshape(-1).view(np.uint8).data)
            _say({"image": _described(image)})
            if not sys.stdin.buffer.readline():
                sys.exit()
            _start_timer(options.limits, plan)
        _say({"done": True})
    except Reject as reject:
        _say({"reject": [reject.reason, reject.stage, reject.detail]})
    except Ignored as ignored:
        _say({"ignored": ignored.reason})
    finally:
        _stop_timer()


def _start_timer(limits: Limits, plan: Plan | None) -> None:
    """Processor time for the next frame; a signal that nobody handles ends the process even inside a decoder."""
    layout = plan.scan.layout if plan and plan.scan else None
    megapixels = layout.rows * layout.columns / 1e6 if layout else limits.pixels / 1e7
    signal.setitimer(signal.ITIMER_PROF, limits.decode_seconds + limits.decode_seconds_per_megapixel * megapixels)


def _stop_timer() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)


def _described(image: Image) -> dict[str, Any]:
    header = dataclasses.asdict(image.header)
    header["study_date"] = image.header.study_date.isoformat() if image.header.study_date else None
    return {
        "shape": image.pixels.shape,
        "dtype": image.pixels.dtype.str,
        "bits": image.bits,
        "window": image.window,
        "frame": image.frame,
        "doppler": image.doppler,
        "header": header,
    }


def _say(message: dict[str, Any]) -> None:
    out: IO[bytes] = sys.stdout.buffer
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
