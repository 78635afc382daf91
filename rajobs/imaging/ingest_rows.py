"""The rows that ingest writes for the files it reads: each file becomes images, a reject or ignored, exactly once.

What identifies a patient is in these rows only as keyed pseudonyms, except in the crosswalk, which goes to the ledger.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.child_process.exchange import ExchangeBytes
from rajobs.imaging.coding import encode, preview
from rajobs.imaging.image import OPTIONAL_MODALITIES, Header, Ignored, Image, modality_hint
from rajobs.records.errors import Reject
from rajobs.records.identity import IMAGE_ID, OLDEST, Key, is_placeholder

PART_BYTES = 256 << 20  # coded pixels after which the rows continue in another numbered part

PATIENT_BY_EXAM, PATIENT_BY_FOLDER = "patient_by_exam", "patient_by_folder"
"""Names of the counts of images whose patient neither a header nor labels name: of those with an exam, and pictures."""

TEXT_BLANKED = "text_blanked"
"""Name of the count of images of which burned-in text was blanked."""

Rows = list[dict[str, object]]
Read = Callable[[bytes | ExchangeBytes, str | None], list[Image]]
"""A file's bytes, and what the labels say a picture without a header shows (radiograph, ultrasound), to its images."""


@dataclass(frozen=True, kw_only=True)
class IngestRows:
    """The rows of some files, by table, and their counts."""

    images: Rows = field(default_factory=list)
    rejects: Rows = field(default_factory=list)
    ignored: Rows = field(default_factory=list)
    places: Rows = field(default_factory=list)
    crosswalk: Rows = field(default_factory=list)
    paths_without_modality: list[str] = field(default_factory=list)  # pseudonyms: pictures that labels do not describe
    placeholders: set[str] = field(default_factory=set)  # pseudonyms of patients whose ID seems to stand for nobody
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def coded_bytes(self) -> int:
        return self.counts["coded_bytes"]


@dataclass(frozen=True, kw_only=True)
class EarlierReading:
    """What a file without a header became when it was read before, with what labels said of it then."""

    patient: str  # pseudonym
    patient_id: str | None  # original, where a ledger has it
    visit_date: date | None  # shifted
    derived_from: str | None
    shows: str  # radiograph | ultrasound


@dataclass(frozen=True, kw_only=True)
class RowBuilder:
    """Makes the rows of an archive's members, with what the labels say about files without a header."""

    key: Key
    read: Read
    origin: str  # see Shard.origin: it tells members of the same path apart
    patients: Mapping[str, str]  # path -> patient, for files without a header
    shows: Mapping[str, str]  # path -> radiograph | ultrasound, for files without a header
    sources: Mapping[str, str] = field(default_factory=dict)  # path or SOP instance UID -> image it was derived from
    centre: str | None = None  # where the files come from, in the user's own word
    earlier: Mapping[str, EarlierReading] = field(default_factory=dict)  # by the pseudonym of the path

    def build_rows(self, members: Iterable[ArchiveMember]) -> Iterator[IngestRows]:
        """The members' rows in their order, in parts of bounded size."""
        image_ids: set[str] = set()
        path_counts: Counter[str] = Counter()
        rows = IngestRows()
        for member in members:
            path_counts[member.path] += 1
            self._add_member(rows, member, image_ids, path_counts[member.path])
            if rows.coded_bytes >= PART_BYTES:
                yield rows
                rows = IngestRows()
        yield rows

    def _add_member(self, rows: IngestRows, member: ArchiveMember, image_ids: set[str], occurrence: int) -> None:
        """Add a member's rows, and its images to `image_ids`; `occurrence` counts members of the same path."""
        repeated = f"\0{occurrence}" if occurrence > 1 else ""  # an archive may hold several files of one name
        source = self.key.pseudonym("source", f"{self.origin}/{member.path}{repeated}")
        rows.counts["objects"] += 1
        place: dict[str, object] = {"source": source, "bytes": len(member.data) or member.size}
        ids: list[str] = []
        header = None
        try:
            if member.reject is not None:
                raise member.reject
            images = self.read(member.data, self._find_shown(member))
            header = images[0].header
            image_rows = self._image_rows(images, member)
            ids = [str(row["image_id"]) for row, _ in image_rows]
            if ids[0] in image_ids:
                raise Ignored("duplicate")
            image_ids.update(ids)
            rows.images.extend(row for row, _ in image_rows)
            path, name = path_name(self.key, member.path), file_name(self.key, member.path)
            blanked = sum(image.blanked for image in images)
            rows.places.append({
                **place, "path": path, "image_id": ids[0], "frames": len(ids), "name": name, "blanked": blanked,
            })  # fmt: skip
            rows.counts["images"] += 1
            rows.counts.update([TEXT_BLANKED] if blanked else ())
            rows.counts["frames"] += len(image_rows)
            self._note_patient(rows, header, member)
            rows.counts["coded_bytes"] += sum(coded_bytes for _, coded_bytes in image_rows)
        except Reject as reject:
            rows.rejects.append({**place, "stage": reject.stage, "reason": reject.reason, "detail": reject.detail})
            rows.counts[f"reject:{reject.reason}"] += 1
            rows.counts.update(
                f"modality:{name}" for name in OPTIONAL_MODALITIES if reject.detail == modality_hint(name)
            )
            if reject.reason == "no-modality":
                rows.paths_without_modality.append(path_name(self.key, member.path))
        except Ignored as ignored:
            rows.ignored.append({**place, "reason": ignored.reason})
            rows.counts[f"ignored:{ignored.reason}"] += 1
        rows.crosswalk.append(self._crosswalk_row(source, member, header, ids))

    def _note_patient(self, rows: IngestRows, header: Header, member: ArchiveMember) -> None:
        """Count an object whose patient nothing names, and note a patient whose ID is a placeholder."""
        name = self._named_patient(header, member)
        if name is not None and is_placeholder(name):
            rows.placeholders.add(self.key.pseudonym("patient", name))
        if name is None and self._find_earlier(header, member) is None:
            rows.counts[PATIENT_BY_FOLDER if _exam_uid(header) is None else PATIENT_BY_EXAM] += 1

    def _image_rows(self, images: list[Image], member: ArchiveMember) -> list[tuple[dict[str, object], int]]:
        try:
            return [self._image_row(image, member) for image in images]
        except MemoryError:
            raise Reject("too-large", "decode", "memory") from None
        except Exception as error:  # noqa: BLE001 - what a file says or shows must not end the job
            raise Reject("corrupt", "decode", type(error).__name__) from None

    def _image_row(self, image: Image, member: ArchiveMember) -> tuple[dict[str, object], int]:
        """An image's row, and the number of bytes of its coded pixels."""
        header, key = image.header, self.key
        pixels = encode(image.pixels)
        patient, earlier = self._find_patient(header, member), self._find_earlier(header, member)
        visit_date = key.shift(patient, header.study_date) if header.study_date else None
        window = image.window or (None, None)
        row: dict[str, object] = {
            "image_id": image_id(key, header.sop_uid or content_name(member.data), image.frame),
            "patient": earlier.patient if earlier else key.pseudonym("patient", patient),
            "exam": key.pseudonym("uid", header.study_uid) if header.study_uid else None,
            "series": key.pseudonym("uid", header.series_uid) if header.series_uid else None,
            "derived_from": self._find_source_id(header, member),
            "visit_date": earlier.visit_date if earlier else visit_date,
            "sex": header.sex,
            "age_years": None if header.age_years is None else min(header.age_years, OLDEST),
            "modality": header.modality,
            "body_part": header.body_part,
            "view_position": header.view_position,
            "laterality": header.laterality,
            "manufacturer": header.manufacturer,
            "centre": self.centre,
            "rows": image.pixels.shape[0],
            "columns": image.pixels.shape[1],
            "bits": image.bits,
            "spacing_mm": header.spacing_mm,
            "spacing_plane": header.spacing_plane,
            "window_centre": window[0],
            "window_width": window[1],
            "frame": image.frame,
            "doppler": image.doppler,
            "preview": preview(image.pixels, image.window),
            "pixels": pixels,
        }
        return row, len(pixels)

    def _find_patient(self, header: Header, member: ArchiveMember) -> str:
        """Whom the header names, else the labels; else the film's exam, or the folder that a picture is in, stands."""
        return self._named_patient(header, member) or self._unnamed_patient(header, member)

    def _named_patient(self, header: Header, member: ArchiveMember) -> str | None:
        return header.patient_id or self.patients.get(member.path)

    def _unnamed_patient(self, header: Header, member: ArchiveMember) -> str:
        exam = _exam_uid(header)
        folder = f"folder {member.path.rpartition('/')[0]}"
        return folder if exam is None else exam_patient(self.key.pseudonym("uid", exam))

    def _find_earlier(self, header: Header, member: ArchiveMember) -> EarlierReading | None:
        """The file's earlier reading, if it names the patient, whom neither the header nor these labels do."""
        earlier = self.earlier.get(path_name(self.key, member.path))
        if earlier is None or self._named_patient(header, member) is not None:
            return None
        unnamed = self.key.pseudonym("patient", self._unnamed_patient(header, member))
        return None if earlier.patient == unnamed else earlier

    def _find_shown(self, member: ArchiveMember) -> str | None:
        """What a picture shows by the labels, or showed by those of an earlier reading."""
        earlier = self.earlier.get(path_name(self.key, member.path))
        return self.shows.get(member.path) or (earlier.shows if earlier is not None else None)

    def _find_source_id(self, header: Header, member: ArchiveMember) -> str | None:
        """The image_id of the image that this one was derived from, by the labels, else by the header."""
        source = self.sources.get(header.sop_uid or "") or self.sources.get(member.path)
        if source is not None:
            return source_id(self.key, source)
        if header.source_uid is not None:  # whatever it looks like: a header knows no image_id
            return image_id(self.key, header.source_uid, 0)
        earlier = self.earlier.get(path_name(self.key, member.path))
        return earlier.derived_from if earlier is not None else None

    def _crosswalk_row(
        self, source: str, member: ArchiveMember, header: Header | None, ids: list[str]
    ) -> dict[str, object]:
        row: dict[str, object] = {"source": source, "path": _as_text(member.path), "image_ids": ids}
        if header is None:
            return row
        patient, earlier = self._find_patient(header, member), self._find_earlier(header, member)
        return {
            **row,
            "patient": earlier.patient if earlier else self.key.pseudonym("patient", patient),
            "patient_id": earlier.patient_id if earlier else _as_text(patient),
            "sop_uid": header.sop_uid,
            "exam_uid": header.study_uid,
            "series_uid": header.series_uid,
            "exam_date": header.study_date,
        }


def _as_text(name: str) -> str:
    """A name that may stand in a table: a file's need not be UTF-8."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _exam_uid(header: Header) -> str | None:
    """What tells a film's exam from every other one; a picture has none."""
    return header.study_uid or header.series_uid or header.sop_uid


def exam_patient(exam: str) -> str:
    """Whom films of an exam (by its pseudonym) belong to where nothing names their patient."""
    return f"exam {exam}"


def content_name(data: bytes | ExchangeBytes) -> str:
    """What identifies a file without a SOP instance UID: a hash of its bytes."""
    content = data if isinstance(data, bytes) else data.view()
    return f"sha256 {hashlib.sha256(content).hexdigest()}"


def path_name(key: Key, path: str) -> str:
    """The pseudonym of a path, by which labels are matched to the images of files without a header."""
    return key.pseudonym("path", path)


def file_name(key: Key, path: str) -> str:
    """The pseudonym of a path's last part, by which labels may name a file that no other has."""
    return key.pseudonym("file", path.rpartition("/")[2])


def source_id(key: Key, source: str) -> str:
    """The image_id of the image that another was derived from, which labels name by image_id or SOP instance UID."""
    return source if IMAGE_ID.fullmatch(source) else image_id(key, source, 0)


def image_id(key: Key, name: str, frame: int) -> str:
    """The stable id of a frame: a keyed hash of the file's SOP instance UID or content name, and the frame."""
    return key.pseudonym("image", name if frame == 0 else f"{name} frame {frame}")
