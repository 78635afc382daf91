"""Members of archives in, rows of the tables out: every object becomes images, a reject or ignored, exactly once.

What identifies a patient leaves here as keyed pseudonyms only; the crosswalk, which names, is for the ledger alone.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rajobs.imaging.archives.walk import ArchiveMember
from rajobs.imaging.coding import encode, preview
from rajobs.imaging.fates import Ignored
from rajobs.imaging.image import Header, Image
from rajobs.records.errors import Reject
from rajobs.records.identity import IMAGE_ID, OLDEST, Key

PART_BYTES = 256 << 20  # coded pixels after which a shard's rows go into another numbered part

Rows = list[dict[str, object]]
Read = Callable[[bytes, str | None], list[Image]]
"""Bytes, and what the labels say a picture without a header shows (radiograph, ultrasound)."""


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Rows of some objects, a table each."""

    images: Rows = field(default_factory=list)
    rejects: Rows = field(default_factory=list)
    ignored: Rows = field(default_factory=list)
    places: Rows = field(default_factory=list)
    crosswalk: Rows = field(default_factory=list)
    untold: list[str] = field(default_factory=list)  # pseudonyms of paths: pictures of which nobody says what they show
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def coded_bytes(self) -> int:
        return self.counts["coded_bytes"]


@dataclass(frozen=True, kw_only=True)
class Taker:
    """How objects are taken in: the key, the reader, and the patients that labels name for pictures."""

    key: Key
    read: Read
    origin: str  # tag of the archive, and where in it the members begin: two of one name stay apart
    patients: Mapping[str, str]  # path -> patient, for objects without a header
    shows: Mapping[str, str]  # path -> radiograph | ultrasound, for the same
    sources: Mapping[str, str] = field(default_factory=dict)  # path or SOP instance -> what a drawing was modelled on

    def take_in(self, members: Iterable[ArchiveMember]) -> Iterator[Intake]:
        """The rows, in bounded lots, in the members' order."""
        seen: set[str] = set()
        named: Counter[str] = Counter()
        lot = Intake()
        for member in members:
            named[member.path] += 1
            self._take(member, lot, seen, named[member.path])
            if lot.coded_bytes >= PART_BYTES:
                yield lot
                lot = Intake()
        yield lot

    def _take(self, member: ArchiveMember, lot: Intake, seen: set[str], time: int) -> None:
        again = f"\0{time}" if time > 1 else ""  # an archive that was added to may hold a name several times
        source = self.key.pseudonym("source", f"{self.origin}/{member.path}{again}")
        lot.counts["objects"] += 1
        place: dict[str, object] = {"source": source, "bytes": len(member.data) or member.size}
        ids: list[str] = []
        header = None
        try:
            if member.reject is not None:
                raise member.reject
            images = self.read(member.data, self.shows.get(member.path))
            header = images[0].header
            rows = [self._row(image, member) for image in images]
            ids = [str(row["image_id"]) for row, _ in rows]
            if ids[0] in seen:
                raise Ignored("duplicate")
            seen.update(ids)
            lot.images.extend(row for row, _ in rows)
            path = path_name(self.key, member.path)
            lot.places.append({**place, "path": path, "image_id": ids[0], "frames": len(ids)})
            lot.counts["images"] += 1
            lot.counts["frames"] += len(rows)
            lot.counts["coded_bytes"] += sum(coded for _, coded in rows)
        except Reject as reject:
            lot.rejects.append({**place, "stage": reject.stage, "reason": reject.reason, "detail": reject.detail})
            lot.counts[f"reject:{reject.reason}"] += 1
            if reject.reason == "no-modality":
                lot.untold.append(path_name(self.key, member.path))
        except Ignored as ignored:
            lot.ignored.append({**place, "reason": ignored.reason})
            lot.counts[f"ignored:{ignored.reason}"] += 1
        lot.crosswalk.append(self._crosswalk(source, member, header, ids))

    def _row(self, image: Image, member: ArchiveMember) -> tuple[dict[str, object], int]:
        """A frame's row, and the bytes of its coded pixels."""
        header, key = image.header, self.key
        pixels = encode(image.pixels)
        patient = self._patient(header, member)
        window = image.window or (None, None)
        row: dict[str, object] = {
            "image_id": image_id(key, header.sop_uid or content_name(member.data), image.frame),
            "patient": key.pseudonym("patient", patient),
            "exam": key.pseudonym("uid", header.study_uid) if header.study_uid else None,
            "series": key.pseudonym("uid", header.series_uid) if header.series_uid else None,
            "derived_from": self._source(header, member),
            "visit_date": key.shift(patient, header.study_date) if header.study_date else None,
            "sex": header.sex,
            "age_years": None if header.age_years is None else min(header.age_years, OLDEST),
            "modality": header.modality,
            "body_part": header.body_part,
            "view_position": header.view_position,
            "laterality": header.laterality,
            "manufacturer": header.manufacturer,
            "rows": image.pixels.shape[0],
            "columns": image.pixels.shape[1],
            "bits": image.bits,
            "spacing_mm": header.spacing_mm,
            "window_centre": window[0],
            "window_width": window[1],
            "frame": image.frame,
            "doppler": image.doppler,
            "preview": preview(image.pixels, image.window),
            "pixels": pixels,
        }
        return row, len(pixels)

    def _patient(self, header: Header, member: ArchiveMember) -> str:
        """Who it is: the header's patient, else the labels', else the folder (and archive) the picture lies in."""
        return header.patient_id or self.patients.get(member.path) or f"folder {member.path.rpartition('/')[0]}"

    def _source(self, header: Header, member: ArchiveMember) -> str | None:
        """The image that this one was made from: as the labels say, else as the header says."""
        told = self.sources.get(header.sop_uid or "") or self.sources.get(member.path) or header.source_uid
        return None if told is None else source_id(self.key, told)

    def _crosswalk(
        self, source: str, member: ArchiveMember, header: Header | None, ids: list[str]
    ) -> dict[str, object]:
        path = member.path.encode(errors="surrogateescape").decode(errors="replace")  # a name that is no UTF-8
        found: dict[str, Any] = {"source": source, "path": path, "image_ids": ids}
        if header is None:
            return found
        patient = self._patient(header, member)
        return {
            **found,
            "patient": self.key.pseudonym("patient", patient),
            "patient_id": patient,
            "sop_uid": header.sop_uid,
            "exam_uid": header.study_uid,
            "series_uid": header.series_uid,
            "exam_date": header.study_date,
        }


def content_name(data: bytes) -> str:
    """What names an object without a SOP instance UID: its bytes."""
    return f"sha256 {hashlib.sha256(data).hexdigest()}"


def path_name(key: Key, path: str) -> str:
    """The pseudonym of a path, by which labels find the images of files without a header."""
    return key.pseudonym("path", path)


def source_id(key: Key, told: str) -> str:
    """The image_id of what a drawing was modelled on, which labels may name as such or by SOP instance UID."""
    return told if IMAGE_ID.fullmatch(told) else image_id(key, told, 0)


def image_id(key: Key, name: str, frame: int) -> str:
    """The stable id of a frame: a keyed hash of what names its object, and the frame."""
    return key.pseudonym("image", name if frame == 0 else f"{name} frame {frame}")
