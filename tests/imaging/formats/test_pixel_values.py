"""What stored values mean: modality LUTs, signs, padding, windows, wrong bits and regions; and the allow-list."""

import dataclasses
from datetime import date

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from rajobs.imaging.formats import reader, ultrasound_regions
from rajobs.imaging.image import OPTIONAL_MODALITIES, Ignored, Mask, ReadOptions, modality_hint
from rajobs.records.errors import BadTable, Reject, UsageError
from tests.imaging.dicom_files import IMPLICIT, dicom, film, region, scan_rgb

ALL = ReadOptions(ultrasound_regions="all")


def read_one(data, options=ALL):
    (image,) = reader.read_file(data, options)
    return image


def make_lut(values, first=0, bits=16):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.LUTData = [int(v) for v in values]
    item["LUTData"].VR = "US"
    item["LUTDescriptor"].VR = "SS" if first < 0 else "US"
    item.ModalityLUTType = "US"
    return Sequence([item])


def test_whole_number_rescale_is_applied_and_shifted_to_zero():
    image = film()
    doubled = read_one(
        dicom(image, bits=12, RescaleSlope="2", RescaleIntercept="10", WindowCenter="3000", WindowWidth="900")
    )
    assert np.array_equal(doubled.pixels, image * 2 + 10)
    assert doubled.window == (3000, 900)
    shifted = read_one(
        dicom(image, bits=12, RescaleSlope="1", RescaleIntercept="-1024", WindowCenter="40", WindowWidth="400")
    )
    assert np.array_equal(shifted.pixels, image)
    assert shifted.window == (1064, 400)


def test_fractional_and_negative_slopes_keep_the_stored_levels():
    image = film()
    half = read_one(
        dicom(image, bits=12, RescaleSlope="0.5", RescaleIntercept="3", WindowCenter="1003", WindowWidth="200")
    )
    assert np.array_equal(half.pixels, image)
    assert half.window == (2000, 400)
    inverted = read_one(
        dicom(image, bits=12, RescaleSlope="-1", RescaleIntercept="4095", WindowCenter="95", WindowWidth="50")
    )
    assert np.array_equal(inverted.pixels, 4095 - image)
    plain = read_one(dicom(4095 - image, bits=12, WindowCenter="95", WindowWidth="50"))
    assert inverted.window[0] == pytest.approx(4095 - 4000 + 1)
    assert plain.bits == inverted.bits == 12


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", IMPLICIT])
def test_modality_lut_is_applied(syntax):
    values = (np.arange(4096) ** 2 // 400).astype(np.uint16)
    image = film()
    mapped = read_one(dicom(image, syntax=syntax, bits=12, ModalityLUTSequence=make_lut(values)))
    assert np.array_equal(mapped.pixels, values[image])
    signed = image.astype(np.int16) - 2048
    mapped = read_one(dicom(signed, syntax=syntax, bits=12, ModalityLUTSequence=make_lut(values, first=-2048)))
    assert np.array_equal(mapped.pixels, values[image])
    inverted = read_one(
        dicom(
            image, syntax=syntax, bits=12, ModalityLUTSequence=make_lut(values), PhotometricInterpretation="MONOCHROME1"
        )
    )
    assert np.array_equal(inverted.pixels, 65535 - values[image])


def test_voi_lut_becomes_a_window():
    values = np.concatenate((np.zeros(1000), np.linspace(0, 65535, 2000), np.full(1096, 65535)))
    centre, width = read_one(dicom(film(), bits=12, VOILUTSequence=make_lut(values))).window
    assert centre == pytest.approx(2000, abs=5)
    assert width == pytest.approx(1960, abs=20)


def test_inversion_also_inverts_the_window():
    image = film()
    plain = read_one(dicom(image, bits=12, WindowCenter=["1000", "5"], WindowWidth=["300", "5"]))
    inverted = read_one(
        dicom(4095 - image, bits=12, PhotometricInterpretation="MONOCHROME1", WindowCenter="3096", WindowWidth="300")
    )
    assert np.array_equal(plain.pixels, inverted.pixels)
    assert plain.window == inverted.window == (1000, 300)


def test_padding_is_black_in_either_polarity():
    image = film()
    image[:10] = 4000
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        pixels = read_one(dicom(image, bits=12, PhotometricInterpretation=photometric, PixelPaddingValue=4000)).pixels
        assert not pixels[:10].any()
        assert pixels[11:].any()


def test_wrong_bits_stored_and_left_justified_samples_are_corrected():
    image = film(bits=12)
    wide = read_one(dicom(image, bits=10))
    assert np.array_equal(wide.pixels, image)
    assert wide.bits == 12
    shifted = read_one(dicom(image << 4, bits=12, HighBit=15))
    assert np.array_equal(shifted.pixels, image)


def test_overlay_bits_are_masked_whatever_the_header_says_of_them():
    image = film(bits=12)
    drawn = image.copy()
    drawn[5:9, 5:9] |= 0x8000
    plain = dicom(drawn, bits=12)
    element = b"\x00\x60\x02\x01US\x02\x00\x0f\x00"  # overlay bit position 15
    at = plain.index(b"\xe0\x7f\x10\x00OW")
    for data in (plain, plain[:at] + element + plain[at:], plain[:at] + element[:-2] + b"\0\0" + plain[at:]):
        masked = read_one(data)
        assert np.array_equal(masked.pixels, image)
        assert masked.bits == 12


def test_pixel_data_of_another_length_than_the_header_s_is_rejected():
    image = film(63, 47, bits=8)  # odd: one byte of padding
    data = dicom(image)
    assert np.array_equal(read_one(data).pixels, image)
    with pytest.raises(Reject, match="corrupt"):
        read_one(dicom(image, Rows=61))
    with pytest.raises(Reject, match="truncated"):
        read_one(dicom(image, Rows=64))
    with pytest.raises(Reject, match="truncated"):
        read_one(data[:-40])
    with pytest.raises(Reject, match="truncated"):
        read_one(dicom(image, NumberOfFrames=2))


def test_only_the_regions_of_an_ultrasound_image_are_kept():
    image = scan_rgb()
    tagged = dicom(image, SequenceOfUltrasoundRegions=Sequence([region(5, 4, 40, 25), region(0, 0, 47, 3, spatial=0)]))
    kept = read_one(tagged, ReadOptions())
    expected = np.zeros_like(image)
    expected[4:26, 5:41] = image[4:26, 5:41]
    assert np.array_equal(kept.pixels, expected)
    assert kept.header.spacing_mm == pytest.approx(0.125) and kept.header.spacing_plane == "patient"
    bare = dicom(image, Manufacturer="ACME", ManufacturerModelName="One")
    with pytest.raises(Reject, match="no-region"):
        read_one(bare, ReadOptions())
    text = "manufacturer,model,rows,columns,x0,y0,x1,y1\nacme,one,32,48,5,4,40,25\n"
    masks = ultrasound_regions.load_masks(text)
    assert ultrasound_regions.load_masks("\ufeff" + text.replace(",", ";").replace("\n", "\r\n")) == masks, (
        "as Excel saves it"
    )
    assert masks == (Mask(manufacturer="acme", model="one", rows=32, columns=48, boxes=((5, 4, 40, 25),)),)
    assert np.array_equal(read_one(bare, ReadOptions(masks=masks)).pixels, expected)
    assert np.array_equal(read_one(bare).pixels, image)
    with pytest.raises(BadTable, match="line 2"):
        ultrasound_regions.load_masks("manufacturer,model,rows,columns,x0,y0,x1,y1\n,,32,48,5,4,40,99\n")


def test_only_allow_listed_header_values_are_read(caplog):
    image = read_one(
        dicom(
            film(), bits=12, PatientName="CANARY^NAME", InstitutionName="CANARY", PatientAge="045Y", PatientSex="F",
            StudyDate="20200131", BodyPartExamined="hand ", ViewPosition="pa", Laterality="r", Manufacturer="Canary GE",
            PixelSpacing=["0.15", "0.15"], BurnedInAnnotation="NO", AccessionNumber="CANARY",
        )
    )  # fmt: skip
    header = image.header
    assert (header.sex, header.age_years, header.study_date) == ("F", 45, date(2020, 1, 31))
    assert (header.body_part, header.view_position, header.laterality) == ("HAND", "PA", "R")
    assert header.manufacturer == "GE"
    assert header.spacing_mm == pytest.approx(0.15)
    assert "CANARY" not in repr(dataclasses.asdict(header)).upper()
    malformed = read_one(
        dicom(film(), bits=12, PatientAge="CANARY", BodyPartExamined="CANARY", Laterality="CANARY", PatientSex="CANARY",
              Manufacturer="CANARY", StudyDate="20209999", PatientBirthDate="19800101")
    ).header  # fmt: skip
    values = {k: v for k, v in dataclasses.asdict(malformed).items() if v is not None}
    assert not caplog.text  # pydicom would quote the values
    assert set(values) == {"sop_uid", "patient_id", "study_uid", "series_uid", "modality"}
    issued = [read_one(dicom(film(), bits=12, IssuerOfPatientID=issuer)).header.patient_id for issuer in ("A", "B")]
    assert issued == ["P1^^^A", "P1^^^B"] and malformed.patient_id == "P1", "two hospitals give one ID to two patients"


@pytest.mark.parametrize(
    ("tags", "spacing", "plane"),
    [
        ({"ImagerPixelSpacing": ["0.1", "0.1"]}, 0.1, "detector"),
        ({"ImagerPixelSpacing": ["0.1", "0.1"], "PixelSpacing": ["0.10000", "0.10000"]}, 0.1, "detector"),
        ({"ImagerPixelSpacing": ["0.1", "0.1"], "PixelSpacing": ["0.095", "0.095"]}, 0.095, "patient"),
        ({"PixelSpacing": ["0.095", "0.095"], "PixelSpacingCalibrationType": "FIDUCIAL"}, 0.095, "patient"),
        ({"PixelSpacing": ["0.095", "0.095"]}, 0.095, None),
        ({"NominalScannedPixelSpacing": ["0.17", "0.17"]}, 0.17, "detector"),
        ({"ImagerPixelSpacing": ["0.1", "0.1"], "PixelSpacing": ["1000", "1000"]}, 0.1, "detector"),
        ({}, None, None),
    ],
)
def test_the_plane_of_the_pixels_spacing_follows_from_the_tags_that_give_it(tags, spacing, plane):
    header = read_one(dicom(film(), bits=12, **tags)).header
    assert (
        header.spacing_mm == (spacing if spacing is None else pytest.approx(spacing)) and header.spacing_plane == plane
    )


def test_unwanted_files_are_rejected_or_ignored_by_their_header():
    with pytest.raises(Reject, match="burned-in"):
        read_one(dicom(film(), bits=12, BurnedInAnnotation="YES"))
    assert read_one(dicom(film(), bits=12, BurnedInAnnotation="YES"), ReadOptions(burned_in=True)).pixels.any()
    with pytest.raises(Reject, match="not-a-joint-modality"):
        read_one(dicom(film(), Modality="MG"))
    assert read_one(dicom(film(), bits=12, Modality=None)).header.modality == "CR"  # by its SOP class
    with pytest.raises(Reject, match="unsupported-syntax"):
        read_one(dicom(film(), PhotometricInterpretation="CMYK"))
    with pytest.raises(Ignored):
        read_one(dicom(film(), Modality="SR"))
    for data in (b"", b"plain text, no image " * 40, b"%PDF-1.7" + bytes(500)):
        with pytest.raises(Ignored):
            read_one(data)


def test_other_modalities_come_in_as_films_where_the_user_names_them():
    secondary, cr, nuclear = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.20"
    for name, code, sop_class, stored in (
        ("OT", "OT", secondary, "RG"), ("RF", "RF", secondary, "RG"), ("MG", "MG", None, "CR"),
        ("SC", "SC", secondary, "RG"), ("SC", None, secondary, "RG"), ("NM", "NM", cr, "CR"),
    ):  # fmt: skip
        data = dicom(film(), bits=12, Modality=code, **({"SOPClassUID": sop_class} if sop_class else {}))
        with pytest.raises(Reject) as turned_away:
            read_one(data)
        assert turned_away.value.reason == ("not-a-joint-modality" if code else "no-modality")
        assert turned_away.value.detail == modality_hint(name)
        assert read_one(data, ReadOptions(modalities=(name,))).header.modality == stored
    for code, sop_class in (("CT", None), ("NM", nuclear)):
        data = dicom(film(), bits=12, Modality=code, **({"SOPClassUID": sop_class} if sop_class else {}))
        with pytest.raises(Reject, match="not-a-joint-modality") as turned_away:
            read_one(data, ReadOptions(modalities=OPTIONAL_MODALITIES))
        assert turned_away.value.detail == code
    with pytest.raises(UsageError, match="--modalities takes a list of SC, OT"):
        ultrasound_regions.read_options(None, "tagged", False, "ot, CT")


def test_ultrasound_that_says_it_shows_text_is_rejected_if_its_region_is_the_whole_screen():
    image = scan_rgb()
    rows, columns = image.shape[:2]
    whole = Sequence([region(0, 0, columns - 1, rows // 2), region(0, rows // 2, columns - 1, rows - 1)])
    for regions, text, taken in ((whole, "YES", False), (whole, "NO", True), ([region(5, 4, 40, 25)], "YES", True)):
        data = dicom(image, SequenceOfUltrasoundRegions=Sequence(regions), BurnedInAnnotation=text)
        if taken:
            assert read_one(data, ReadOptions()).pixels.any()
            continue
        with pytest.raises(Reject, match="burned-in"):
            read_one(data, ReadOptions())
        assert read_one(data, ReadOptions(burned_in=True)).pixels.any()
