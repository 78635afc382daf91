"""Text in films is found by its looks and blanked beside the anatomy; markers and bones are none. The short version of
benchmarks/burned_in_text.py."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from rajobs.imaging.archives.archive_members import ArchiveMember
from rajobs.imaging.burned_in_text.blanking import blank_text
from rajobs.imaging.burned_in_text.text_finder import find_text
from rajobs.imaging.coding import decode
from rajobs.imaging.formats.reader import read_file
from rajobs.imaging.image import Header, Image, ReadOptions
from rajobs.imaging.ingest_rows import TEXT_BLANKED, RowBuilder
from rajobs.phantoms.radiographs.burned_in_names import BurnedInNames, burn_in_names
from rajobs.phantoms.radiographs.films import sample_film
from rajobs.phantoms.radiographs.spoiling import joint_places
from rajobs.records.errors import Reject
from rajobs.records.identity import Key

FONTS = tuple(
    str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf")
    for name in ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "STIXGeneral", "cmss10")
)
SIZES: tuple[str | tuple[int, int], ...] = ("SMALL", (1005, 745), (1005, 745), "FULL")
NAMES = 8
TAKE = ReadOptions(pictures="radiograph")
Grey = NDArray[np.float32]


@pytest.fixture(scope="module")
def films() -> list[tuple[Grey, NDArray[np.float64]]]:
    """Drawn films as they are displayed, 0 to 1, with at most a side marker, and the places of their joints."""
    drawn = []
    for number, size in enumerate(SIZES):
        rng, kind = np.random.default_rng((24, number)), ("unilateral", "both")[number % 2]
        picture = sample_film(rng, kind=kind, size=size, difficulty="easy")
        while picture.details["marks"]:
            picture = sample_film(rng, kind=kind, size=size, difficulty="easy")
        shown = picture.frames[0] / np.float32((1 << picture.bits) - 1)
        places = np.array(list(joint_places(picture).values()))
        drawn.append((1 - shown if picture.inverted else shown, places))
    return drawn


def as_image(shown: Grey) -> Image:
    pixels = (shown * np.float32(4095) + np.float32(0.5)).astype(np.uint16)
    return Image(pixels=pixels, bits=12, window=None, frame=0, doppler=False, header=Header(modality="CR"))


def as_png(shown: Grey) -> bytes:
    file = io.BytesIO()
    Pillow.fromarray((shown * 255 + 0.5).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def written(text: str, at: tuple[int, int], height: int = 24) -> Callable[[Grey], Grey]:
    """A film with white text on it."""

    def write(shown: Grey) -> Grey:
        page = shown.copy()
        cv2.putText(page, text, at, cv2.FONT_HERSHEY_SIMPLEX, height / 22, 1.0, max(1, height // 10), cv2.LINE_AA)
        return page

    return write


@pytest.fixture(scope="module")
def plain() -> Grey:
    """A bright stripe of tissue on a dark film."""
    film = np.full((700, 600), 0.08, np.float32)
    film[:, 200:400] = 0.6
    film = cv2.GaussianBlur(film, (0, 0), 5)
    return film + np.random.default_rng(3).normal(0, 0.01, film.shape).astype(np.float32)


@pytest.mark.slow
def test_names_are_found_and_what_is_stored_has_no_letter_left_and_every_joint(
    films: list[tuple[Grey, NDArray[np.float64]]],
) -> None:
    missed, rejected, whole = list[BurnedInNames](), 0, 0
    for number, (shown, joints) in enumerate(films):
        for turn in range(NAMES):
            film = shown.copy()
            names = burn_in_names(film, np.random.default_rng((25, number, turn)), FONTS)
            image = as_image(film)
            boxes = find_text(image.pixels)
            if not boxes:
                missed.append(names)
                continue
            try:
                stored = blank_text(image)
            except Reject:
                rejected += 1
                continue
            changed = stored.pixels != image.pixels
            assert stored.blanked == len(boxes) and not stored.pixels[changed].any()
            whole += float((stored.pixels[names.letters] == 0).mean()) > 0.98
            if not names.style.startswith("on "):  # a plate hides joints by itself
                rows, columns = np.rint(joints).astype(int).T[::-1]
                assert not changed[rows, columns].any()
    assert len(missed) <= 1, missed
    assert whole >= 12 and whole + rejected + len(missed) >= len(films) * NAMES - 1


def test_side_markers_and_bones_are_no_text(films: list[tuple[Grey, NDArray[np.float64]]], plain: Grey) -> None:
    for shown, _ in films:
        assert find_text(as_image(shown).pixels) == []
    for marker in ("L", "R", "RT", "SIN", "LEFT", "RIGHT"):
        film = as_image(written(marker, (30, 80), 30)(plain))
        assert blank_text(film) is film, marker


def test_text_is_blanked_beside_the_anatomy_and_rejects_a_film_over_it(plain: Grey) -> None:
    beside, over = written("DOE^JANE 3.5.1950", (5, 60), 11), written("DOE^JANE 3.5.1950", (220, 300), 12)
    stored = blank_text(as_image(beside(plain)))
    assert stored.blanked and stored.pixels[55, 10:110].max() == 0
    assert np.array_equal(stored.pixels[100:], as_image(plain).pixels[100:])
    with pytest.raises(Reject, match="burned-in-annotation"):
        blank_text(as_image(over(plain)))
    turned = blank_text(as_image(np.ascontiguousarray(np.rot90(beside(plain)))))
    assert turned.blanked, "names run up and down on a film that lies on its side"


def test_a_plate_over_the_anatomy_is_blanked_since_it_hides_it_anyway(plain: Grey) -> None:
    film = plain.copy()
    film[250:330, 150:550] = 0
    stored = blank_text(as_image(written("DOE^JANE 3.5.1950", (180, 300))(film)))
    assert stored.blanked and stored.pixels[280:305, 180:480].max() == 0


def test_the_stored_pixels_and_the_preview_have_no_text_unless_it_is_to_be_kept(plain: Grey) -> None:
    data = as_png(written("DOE^JANE", (20, 60), 16)(plain))

    def read(options: ReadOptions) -> tuple[Mapping[str, object], Mapping[str, object], int]:
        builder = RowBuilder(
            key=Key(secret=b"0123456789abcdef0123456789abcdef"), origin="tag", patients={}, shows={},
            read=lambda data, shows: read_file(bytes(data), options),  # type: ignore[arg-type]
        )  # fmt: skip
        (rows,) = builder.build_rows([ArchiveMember(path="a/one.png", data=data, size=len(data))])
        return rows.images[0], rows.places[0], rows.counts[TEXT_BLANKED]

    for keep in (False, True):
        image, place, count = read(ReadOptions(pictures="radiograph", burned_in=keep))
        pixels, preview = decode(image["pixels"]), np.asarray(Pillow.open(io.BytesIO(image["preview"])))  # type: ignore[arg-type]
        assert (pixels[44:60, 25:120].max() > 200) == keep and (preview[17:22, 10:42].max() > 90) == keep
        assert (place["blanked"] == 0) == keep and count == (not keep)
