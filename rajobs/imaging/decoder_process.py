"""The child process that decodes files for sandbox.Decoder, which starts it; it serves until its input ends."""

import dataclasses
import json
import mmap
import resource
import signal
import sys
from pathlib import Path
from typing import IO, Any

import numpy as np

from rajobs.imaging.formats.reader import frame_seconds, plan_read, read_planned
from rajobs.imaging.image import Ignored, Image, Mask, ReadOptions
from rajobs.imaging.limits import Limits
from rajobs.imaging.sandbox import keep_memory, read_exchange, write_exchange
from rajobs.records.errors import Reject


def main() -> None:
    """Answer requests until the parent closes the pipe or is gone."""
    source, target = int(sys.argv[1]), int(sys.argv[2])
    keep_memory()
    _load_decoders()
    mapped_bytes = _mapped_bytes()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        options = _options_from_json(request["options"])
        _limit_memory(mapped_bytes, options.limits)
        _answer(read_exchange(source, request["size"]), options, target)


def _load_decoders() -> None:
    """Load the usual decoders' libraries before memory is limited: what they map is not the files' fault."""
    from imagecodecs import jpeg2k_decode, jpeg8_decode, jpegls_decode

    assert all((jpeg2k_decode, jpeg8_decode, jpegls_decode))


def _mapped_bytes() -> int:
    """The address space in use; 0 where the system does not tell, and memory is then not limited."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * mmap.PAGESIZE if statm.exists() else 0


def _limit_memory(mapped_bytes: int, limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if mapped_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (mapped_bytes + limits.child_bytes, resource.RLIM_INFINITY))


def _options_from_json(fields: dict[str, Any]) -> ReadOptions:
    masks = tuple(Mask(**{**mask, "boxes": tuple(tuple(box) for box in mask["boxes"])}) for mask in fields["masks"])
    return ReadOptions(**{**fields, "masks": masks, "limits": Limits(**fields["limits"])})


def _answer(data: bytes, options: ReadOptions, target: int) -> None:
    try:
        _start_timer(frame_seconds(options.limits, None))
        plan = plan_read(data, options)
        _start_timer(plan.frame_seconds)
        for image in read_planned(plan):
            _stop_timer()
            write_exchange(target, np.ascontiguousarray(image.pixels).reshape(-1).view(np.uint8).data)
            _send({"image": _describe_image(image)})
            if not sys.stdin.buffer.readline():
                sys.exit()
            _start_timer(plan.frame_seconds)
        _send({"done": True})
    except Reject as reject:
        _send({"reject": [reject.reason, reject.stage, reject.detail]})
    except Ignored as ignored:
        _send({"ignored": ignored.reason})
    finally:
        _stop_timer()


def _start_timer(cpu_seconds: float) -> None:
    """Limit the CPU time of the next frame: nothing handles the signal, so it ends the process even in a decoder."""
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def _stop_timer() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)


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
        "header": header,
    }


def _send(message: dict[str, Any]) -> None:
    out: IO[bytes] = sys.stdout.buffer
    out.write(json.dumps(message).encode() + b"\n")
    out.flush()


if __name__ == "__main__":
    main()
