"""Stray files among the films of an archive: letters, reports, directories, files left by file managers."""

from collections.abc import Callable
from datetime import date

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    BasicTextSRStorage,
    EncapsulatedPDFStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    MediaStorageDirectoryStorage,
)

from rajobs.phantoms.packaging.archives import ArchiveFile
from rajobs.phantoms.packaging.canaries import Identity, identity
from rajobs.phantoms.packaging.csv_tables import Fate
from rajobs.phantoms.packaging.dicom_files import serialise
from rajobs.phantoms.packaging.dicom_headers import make_header, make_item, make_uid
from rajobs.phantoms.picture import Patient, Picture

STRAYS = (
    "text",
    "list",
    "pdf",
    "thumbs",
    "resource-fork",
    "empty",
    "web-page",
    "misnamed-text",
    "report",
    "presentation-state",
    "encapsulated-pdf",
    "directory",
)


def make_stray(kind: str, *, seed: int, serial: str, patient: Patient) -> ArchiveFile:
    """A stray file, which is no image and contains the patient's identifiers."""
    who = identity(seed, patient.number)
    name, make = _MAKERS[kind]
    reason = "directory-record" if kind == "directory" else "not-an-image"
    data = make(who, seed, serial, patient)
    folder = "" if kind == "directory" else f"{who['folder'].title()}_{serial}"
    return ArchiveFile(
        folder=folder, name=name, data=data, fate=Fate(name="ignored", reason=reason, kind=f"stray:{kind}")
    )


def _make_text(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    return f"Patient: {who.name}\nGeb.: {patient.birth:%d.%m.%Y}\n{who.address}\n{who['text']}\n".encode()


def _make_pdf(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    return (
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Title("
        + who["text"].encode()
        + b")>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )


def _make_thumbs_db(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + f"{who['folder']}.jpg".encode("utf-16-le").ljust(1016, b"\0")


def _make_resource_fork(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    return b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        " + who["text"].encode().ljust(100, b"\0")


def _make_empty(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    return b""


def _make_web_page(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    return f"<html><title>{who['text']}</title><body>{who['family']}</body></html>\n".encode()


def _make_header(seed: int, serial: str, patient: Patient, *, modality: str, sop_class: str) -> Dataset:
    picture = Picture(
        frames=(),
        modality="CR",
        body_part="hand",
        bits=12,
        spacing_mm=None,
        patient=patient,
        taken=date(2015, 1, 2),
        visit=0,
    )
    dataset = make_header(picture, seed=seed, serial=serial)
    dataset.SOPClassUID, dataset.Modality = sop_class, modality
    return dataset


def _make_report(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    dataset = _make_header(seed, serial, patient, modality="SR", sop_class=BasicTextSRStorage)
    code = make_item(CodeValue="121071", CodingSchemeDesignator="DCM", CodeMeaning="Finding")
    finding = make_item(
        RelationshipType="CONTAINS",
        ValueType="TEXT",
        ConceptNameCodeSequence=Sequence([code]),
        TextValue=f"{who.name}, {who['text']}: Usuren",
    )
    dataset.ValueType, dataset.ContinuityOfContent = "CONTAINER", "SEPARATE"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.ContentSequence = Sequence([finding])
    return serialise(dataset, "explicit")


def _make_presentation_state(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    dataset = _make_header(seed, serial, patient, modality="PR", sop_class=GrayscaleSoftcopyPresentationStateStorage)
    dataset.ContentLabel, dataset.ContentDescription = "MARKS", who["text"]
    dataset.ContentCreatorName = who["operator"].title()
    return serialise(dataset, "implicit")


def _make_encapsulated_pdf(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    dataset = _make_header(seed, serial, patient, modality="DOC", sop_class=EncapsulatedPDFStorage)
    data = _make_pdf(who, seed, serial, patient)
    dataset.DocumentTitle, dataset.MIMETypeOfEncapsulatedDocument = who["text"], "application/pdf"
    dataset.EncapsulatedDocument = data + b"\0" * (len(data) % 2)
    return serialise(dataset, "explicit")


def _make_directory(who: Identity, seed: int, serial: str, patient: Patient) -> bytes:
    about = make_item(SOPClassUID=MediaStorageDirectoryStorage, SOPInstanceUID=make_uid(seed, "instance", serial))
    dataset = Dataset()
    record = make_item(
        OffsetOfTheNextDirectoryRecord=0,
        RecordInUseFlag=0xFFFF,
        OffsetOfReferencedLowerLevelDirectoryEntity=0,
        DirectoryRecordType="PATIENT",
        SpecificCharacterSet=who.charset,
        PatientName=who.name,
        PatientID=who.patient_id,
    )
    dataset.FileSetID = "ARCHIVE"
    dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    dataset.FileSetConsistencyFlag = 0
    dataset.DirectoryRecordSequence = Sequence([record])
    return serialise(dataset, "explicit", about=about)


_MAKERS: dict[str, tuple[str, Callable[[Identity, int, str, Patient], bytes]]] = {
    "text": ("LIESMICH.TXT", _make_text),
    "list": ("patients.csv", _make_text),
    "pdf": ("Arztbrief.pdf", _make_pdf),
    "thumbs": ("Thumbs.db", _make_thumbs_db),
    "resource-fork": ("._IM0001.dcm", _make_resource_fork),
    "empty": ("IM9999", _make_empty),
    "web-page": ("INDEX.HTM", _make_web_page),
    "misnamed-text": ("notes.dcm", _make_text),
    "report": ("SR000001", _make_report),
    "presentation-state": ("PR000001.dcm", _make_presentation_state),
    "encapsulated-pdf": ("DOC00001.dcm", _make_encapsulated_pdf),
    "directory": ("DICOMDIR", _make_directory),
}
