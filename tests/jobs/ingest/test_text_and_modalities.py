"""Ingest lists the films of which text was blanked, and says what other settings would bring back."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rajobs.__main__ import main
from rajobs.imaging.coding import decode
from rajobs.records.store import open_store
from rajobs.records.tables.parquet_parts import read_table
from rajobs.records.tables.schemas import IMAGES, OBJECT_PLACES
from tests.imaging.dicom_files import dicom

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("here")]


def film_with(text: str, seed: int) -> np.ndarray:
    """A dark film with a bright stripe and white text beside it."""
    pixels = np.full((400, 500), 300, np.uint16)
    pixels[:, 300:420] = 2400
    pixels = cv2.GaussianBlur(pixels, (0, 0), 4) + np.random.default_rng(seed).integers(0, 40, (400, 500), np.uint16)
    cv2.putText(pixels, text, (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 4095, 1, cv2.LINE_AA)
    return pixels


def test_blanked_films_are_listed_and_other_modalities_come_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out, ledger = tmp_path / "source", tmp_path / "out", tmp_path / "ledger"
    source.mkdir()
    for name, text, modality in (("name", "DOE^JANE", "CR"), ("marker", "L", "CR"), ("other", "R", "OT")):
        file = source / f"{name}.dcm"
        file.write_bytes(
            dicom(film_with(text, len(name)), bits=12, Modality=modality, SOPInstanceUID=f"1.2.{len(name)}")
        )
    arguments = ["ingest", str(source), str(out), "--ledger", str(ledger), "--max-rejects", "1"]
    main(arguments)
    printed = capfd.readouterr().out
    assert "1 images had lines of letters in their pixels" in printed
    assert "--modalities OT would bring back up to 1 files" in printed
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts["images"] == 2 and counts["rejects"] == {"not-a-joint-modality": 1}
    assert counts["modalities"] == {"OT": 1} and counts["text_blanked"] == 1

    store = open_store(str(out))
    images = {row["image_id"]: decode(row["pixels"]) for row in read_table(store, "images", IMAGES).to_pylist()}
    places = read_table(store, "places", OBJECT_PLACES).to_pylist()
    for place in places:
        letters = images[place["image_id"]][40:62, 22:140]
        assert (letters.max() < 3000) == bool(place["blanked"])
    blanked = [str(place["image_id"]) for place in places if place["blanked"]]
    (tmp_path / "blanked.csv").write_text("\n".join(["image_id", *blanked]) + "\n")
    main(["link", str(tmp_path / "blanked.csv"), str(ledger), str(tmp_path / "linked.csv")])
    linked = (tmp_path / "linked.csv").read_text()
    assert "name.dcm" in linked and "marker.dcm" not in linked
    capfd.readouterr()

    main([*arguments, "--modalities", "ot"])
    assert "--modalities" not in capfd.readouterr().out
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts["images"] == 3 and not counts["rejects"] and not counts["modalities"]
