"""DICOM headers of films and scans: planted identifiers everywhere, and tags that are often wrong or empty (003)."""

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

_SOP_CLASSES = {"CR": ComputedRadiographyImageStorage, "DX": DigitalXRayImageStorageForPresentation}
_MANUFACTURERS = (
    "Agfa",
    "FUJIFILM Corporation",
    "Carestream Health",
    "Philips Medical Systems",
    "SIEMENS",
    "Konica Minolta",
)
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
_LIMBS = ("hand", "foot", "ankle", "knee", "shoulder", "hip", "elbow", "forearm", "wrist", "finger")
_HEADER_NAMES = {
    "hand_lateral": "hand", "hand_oblique": "hand", "hand_ball_catcher": "hand", "lateral_foot": "foot",
    "lower_leg": "leg",
}  # fmt: skip


def make_uid(seed: int, *parts: object) -> str:
    """A DICOM UID that depends on the seed and on what it identifies."""
    digest = hashlib.sha256("/".join(["uid", str(seed), *map(str, parts)]).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big') | 1 << 126}"


def make_item(**elements: object) -> Dataset:
    """A dataset, or an item of a sequence, with these elements."""
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def make_header(picture: Picture, *, seed: int, serial: str) -> Dataset:
    """A picture's dataset without pixels; `serial` must differ between the instances of a phantom."""
    number = picture.patient.number
    who = identity(seed, number if number >= 0 else None)
    rng = random.Random(f"header/{seed}/{serial}")
    dataset = Dataset()
    dataset.SpecificCharacterSet = who.charset
    _add_patient(dataset, picture, who, rng)
    _add_study(dataset, picture, who, rng, seed, serial)
    _add_device(dataset, picture, who, rng)
    if picture.modality == "US":
        _add_ultrasound(dataset, picture, who, rng)
    _add_view(dataset, picture, who, rng)
    _plant_identifiers(dataset, who)
    return dataset


def age_in_years(birth: date, day: date) -> int:
    """Completed years between two days."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def _add_patient(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    patient = picture.patient
    age = f"{age_in_years(patient.birth, picture.taken):03d}Y"
    dataset.PatientName = who.name
    dataset.PatientID = who.patient_id
    dataset.IssuerOfPatientID = who.issuer
    dataset.PatientSex = patient.sex
    # Some archives keep the date of birth, some only the age, most of them both.
    known = rng.choice(("both", "both", "both", "birth", "age"))
    if known != "age":
        dataset.PatientBirthDate = patient.birth.strftime("%Y%m%d")
    if known != "birth":
        dataset.PatientAge = age
    dataset.PatientAddress = who.address
    dataset.PatientTelephoneNumbers = f"{who['phone']}-30"
    dataset.PatientBirthName = f"{who['former_name'].title()}^{who['first_name'].title()}"
    dataset.OtherPatientIDsSequence = Sequence([make_item(PatientID=who["other_id"], TypeOfPatientID="TEXT")])
    dataset.PatientComments = f"Tel. {who['phone']}, {who['comment']}"


def _add_study(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random, seed: int, serial: str) -> None:
    day = picture.taken.strftime("%Y%m%d")
    time = f"{rng.randrange(7, 19):02d}{rng.randrange(60):02d}{rng.randrange(60):02d}.{rng.randrange(1000):03d}"
    ultrasound = UltrasoundImageStorage if len(picture.frames) == 1 else UltrasoundMultiFrameImageStorage
    dataset.SOPClassUID = _SOP_CLASSES.get(picture.modality, ultrasound)
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
    # In a tenth of the headers the manufacturer contains a name: ingest must let only known manufacturers through.
    known = rng.random() < 0.9
    dataset.Manufacturer = (
        rng.choice(_MANUFACTURERS) if known else f"Dr. {who['maker'].title()} {who['family'].title()}"
    )
    dataset.ManufacturerModelName = rng.choice(("CR 85-X", "DRX-1", "Model 7"))
    if known and picture.modality == "US":
        # All scans of an exam come from one machine.
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


def _add_ultrasound(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    """Adds the elements of ultrasound alone; BurnedInAnnotation is sometimes missing or wrong, as in real headers."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "SMALL PARTS"]
    dataset.SeriesDescription = f"PD {who['description']}"
    burned_in = rng.choice(("YES", "YES", "NO", None))
    if burned_in is not None:
        dataset.BurnedInAnnotation = burned_in
    if len(picture.frames) > 1:
        dataset.FrameTime, dataset.CineRate = "80", 12
        dataset.FrameIncrementPointer = 0x00181063


def _add_view(dataset: Dataset, picture: Picture, who: Identity, rng: random.Random) -> None:
    """Adds body part, laterality and view: often right, often empty, sometimes wrong."""
    name = _HEADER_NAMES.get(picture.body_part, picture.body_part)
    part = name.upper()
    parts = [part, part, part, part.title(), "", None, f"{part} {who['body_part']}"[:64]]
    if name in _LIMBS:
        parts += ["EXTREMITY", "EXTREMITY", rng.choice(_LIMBS).upper()]
    if picture.modality == "US":
        parts += ["HAND", "FINGER", "EXTREMITY"]
    laterality = picture.laterality
    sides = [laterality, laterality, laterality, "", None]
    view = picture.view_position
    views = [view, view, view, "", None, "AP", "LL"] if picture.modality != "US" else [None, ""]
    keyword = "ImageLaterality" if picture.modality == "DX" else "Laterality"
    choices = {"BodyPartExamined": parts, keyword: sides, "ViewPosition": views}
    for name, options in choices.items():
        value = rng.choice(options)
        if value is not None:
            # Without validation, because real codes are often in lower case or too long.
            dataset.add(DataElement(name, "CS", value, validation_mode=config.IGNORE))


def _plant_identifiers(dataset: Dataset, who: Identity) -> None:
    """Plants identifiers in places that are easily overlooked: private tags, nested sequences, histories."""
    person = f"{who['private_person'].title()}^{who['first_name'].title()}"
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
