"""A film's or scan's header as archives have them: planted identifiers everywhere, and tags not to rely on (003)."""

import hashlib
import random
from datetime import date

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from rajobs.phantoms.packaging.canaries import Identity, identity
from rajobs.phantoms.picture import PHANTOM_VERSION, Picture

_CLASSES = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}
_MAKERS = ("Agfa", "FUJIFILM Corporation", "Carestream Health", "Philips Medical Systems", "SIEMENS", "Konica Minolta")
_SCANNERS = (
    ("GE Healthcare", "LOGIQ E9"),
    ("Philips Medical Systems", "EPIQ 7G"),
    ("Esaote", "MyLab Twice"),
    ("CANON_MEC", "Aplio i800"),
    ("TOSHIBA_MEC_US", "Aplio 500"),
    ("SAMSUNG MEDISON CO., LTD.", "RS80A"),
    ("SIEMENS", "ACUSON S2000"),
    ("Mindray", "Resona 7"),
)
_LIMBS = ("hand", "foot", "ankle", "knee", "shoulder", "hip", "elbow", "forearm")


def make_uid(seed: int, *parts: object) -> str:
    """A DICOM UID that follows from the seed and what it names."""
    digest = hashlib.sha256("/".join(["uid", str(seed), *map(str, parts)]).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 126}"


def make_item(**elements: object) -> Dataset:
    """A dataset, or a sequence's item, of these elements."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def make_header(picture: Picture, *, seed: int, serial: str) -> Dataset:
    """Everything of a film's dataset but its pixels; `serial` tells the instances of a phantom apart."""
    number = picture.patient.number
    who = identity(seed, number if number >= 0 else None)
    rng = random.Random(f"header/{seed}/{serial}")
    dataset = Dataset()
    dataset.SpecificCharacterSet = who.charset
    _add_patient(dataset, picture, who, rng)
    _add_study(dataset, picture, who, rng, seed, serial)
    _add_device(dataset, picture, who, rng)
    if picture.modality == "US":
        _add_scan(dataset, picture, who, rng)
    _add_view(dataset, picture, who, rng)
    _plant(dataset, who)
    return dataset


def age_in_years(birth: date, day: date) -> int:
    """Completed years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _add_patient(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    patient = picture.patient
    age = f"{age_in_years(patient.birth, picture.taken):03d}Y"
    dataset.PatientName = who.name
    dataset.PatientID = who.patient_id
    dataset.IssuerOfPatientID = f"KIS {who['institution']}"
    dataset.PatientSex = patient.sex
    # Some archives keep the date of birth, some the age alone, most both.
    kept = rng.choice(("both", "both", "both", "birth", "age"))
    if kept != "age":
        dataset.PatientBirthDate = patient.birth.strftime("%Y%m%d")
    if kept != "birth":
        dataset.PatientAge = age
    dataset.PatientAddress = who.address
    dataset.PatientTelephoneNumbers = f"{who['phone']}-30"
    dataset.PatientBirthName = f"{who['former_name'].title()}^{who['given'].title()}"
    dataset.OtherPatientIDsSequence = Sequence([make_item(PatientID=who["other_id"], TypeOfPatientID="TEXT")])
    dataset.PatientComments = f"Tel. {who['phone']}, {who['comment']}"


def _add_study(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random, seed: int, serial: str) -> None:
    day = picture.taken.strftime("%Y%m%d")
    time = f"{rng.randrange(7, 19):02d}{rng.randrange(60):02d}{rng.randrange(60):02d}.{rng.randrange(1000):03d}"
    ultrasound = UltrasoundImageStorage if len(picture.frames) == 1 else UltrasoundMultiFrameImageStorage
    dataset.SOPClassUID = _CLASSES.get(picture.modality, ultrasound)
    dataset.SOPInstanceUID = make_uid(seed, "instance", serial)
    dataset.StudyInstanceUID = make_uid(seed, "exam", who.person, picture.visit)
    dataset.SeriesInstanceUID = make_uid(seed, "series", who.person, picture.visit, picture.body_part)
    dataset.Modality = picture.modality
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = day
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = time
    dataset.AccessionNumber = f"{who['accession']}{picture.visit:02d}"
    dataset.StudyID = who["accession"]
    dataset.SeriesNumber, dataset.InstanceNumber = 1, rng.randrange(1, 99)
    dataset.StudyDescription = f"Patient {who['description']}"
    dataset.ImageComments = f"{who['comment']} {who['family']}"


def _add_device(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    # Somebody's name in a field that a table has a column for: only known makers may pass.
    known = rng.random() < 0.9
    dataset.Manufacturer = rng.choice(_MAKERS) if known else f"Dr. {who['maker'].title()} {who['family'].title()}"
    dataset.ManufacturerModelName = rng.choice(("CR 85-X", "DRX-1", "Model 7"))
    if known and picture.modality == "US":
        # One machine an exam.
        machine = (who.person * 5 + picture.visit) % len(_SCANNERS)
        dataset.Manufacturer, dataset.ManufacturerModelName = _SCANNERS[machine]
    dataset.InstitutionName = f"Klinik {who['institution'].title()}"
    dataset.InstitutionAddress = who.address
    dataset.InstitutionalDepartmentName = who["department"]
    dataset.StationName = who["station"]
    dataset.SoftwareVersions = f"rajobs phantom {PHANTOM_VERSION} {picture.difficulty}"
    dataset.DeviceSerialNumber = who["device"]
    dataset.ReferringPhysicianName = f"{who['physician'].title()}^A^^Dr."
    dataset.PerformingPhysicianName = f"{who['physician'].title()}^B^^Dr."
    dataset.OperatorsName = [f"{who['operator'].title()}^C", f"{who['physician'].title()}^D"]
    if picture.spacing_mm is not None and picture.modality != "US":
        dataset.ImagerPixelSpacing = [f"{picture.spacing_mm:.4f}"] * 2
        if rng.random() < 0.5:
            dataset.PixelSpacing = [f"{picture.spacing_mm:.4f}"] * 2


def _add_scan(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    """What only ultrasound says of itself; that names stand in the picture it does not always say, or denies."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "SMALL PARTS"]
    dataset.SeriesDescription = f"PD {who['description']}"
    burned_in = rng.choice(("YES", "YES", "NO", None))
    if burned_in is not None:
        dataset.BurnedInAnnotation = burned_in
    if len(picture.frames) > 1:
        dataset.FrameTime, dataset.CineRate = "80", 12
        dataset.FrameIncrementPointer = 0x00181063


def _add_view(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    """What the film says it shows: often right, often nothing, at times wrong."""
    part = picture.body_part.upper()
    parts = [part, part, part, part.title(), "", None, f"{part} {who['body_part']}"[:64]]
    if picture.body_part in _LIMBS:
        parts += ["EXTREMITY", "EXTREMITY", rng.choice(_LIMBS).upper()]
    if picture.modality == "US":
        parts += ["HAND", "FINGER", "EXTREMITY"]
    laterality = picture.laterality
    sides = [laterality, laterality, laterality, "", None]
    view = picture.view_position
    views = [view, view, view, "", None, "AP", "LL"] if picture.modality != "US" else [None, ""]
    keyword = "ImageLaterality" if picture.modality == "DX" else "Laterality"
    chosen = {"BodyPartExamined": parts, keyword: sides, "ViewPosition": views}
    for name, options in chosen.items():
        value = rng.choice(options)
        if value is not None:
            # Codes in small letters and longer than they may be: archives are full of them.
            dataset.add(DataElement(name, "CS", value, validation_mode=config.IGNORE))


def _plant(dataset: Dataset, who: Identity) -> None:
    """Identifiers where careless readers forget them: private tags, nested sequences, histories."""
    person = f"{who['private_person'].title()}^{who['given'].title()}"
    dataset.add_new(0x00090010, "LO", "CLINIC PRIVATE")
    dataset.add_new(0x00091001, "LO", who["private"])
    dataset.add_new(0x00091002, "UN", f"\x00\x01{who['private_bytes']}\x00".encode())
    inner = Dataset()
    inner.add_new(0x00090010, "LO", "CLINIC PRIVATE")
    inner.add_new(0x00091004, "PN", person)
    dataset.add_new(0x00091003, "SQ", Sequence([inner]))
    code = make_item(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning=who["nested"])
    request = make_item(
        RequestedProcedureDescription=who["nested"],
        AccessionNumber=who["accession"],
        ScheduledProtocolCodeSequence=Sequence([code]),
    )
    dataset.RequestAttributesSequence = Sequence([request])
    doctor = make_item(
        PersonIdentificationCodeSequence=Sequence([code]),
        PersonAddress=who.address,
        InstitutionName=who["institution"],
    )
    dataset.ReferringPhysicianIdentificationSequence = Sequence([doctor])
    before = make_item(PatientName=who.name, PatientID=who["history"])
    change = make_item(
        ModifiedAttributesSequence=Sequence([before]),
        ModifyingSystem=who["history"],
        SourceOfPreviousValues=who["institution"],
        AttributeModificationDateTime="20200101120000",
        ReasonForTheAttributeModification="CORRECT",
    )
    dataset.OriginalAttributesSequence = Sequence([change])
