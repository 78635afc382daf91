"""A boosted cascade that shows where things are: its file in OpenCV's format, and what it finds in an image.

<cascade>  as opencv_traincascade 3.4 writes it; cv2.CascadeClassifier loads the file
<layout>   usual position of each point, in shares of the side, and the number of the point that it swings about
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.learning.cascade.boosting import Stage
from rajobs.learning.cascade.haar import Haar
from rajobs.learning.cascade.joint_naming import Layout, name_detections
from rajobs.learning.points import LEAST_CONFIDENCE

Pixels = NDArray[np.uint8]
Coordinates = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """A trained cascade."""

    settings: Haar
    xml: str = field(repr=False)
    classifier: cv2.CascadeClassifier
    layout: Layout
    numbers: int  # how many numbers it has learnt

    @classmethod
    def from_stages(cls, settings: Haar, stages: Sequence[Stage], layout: Layout) -> "Cascade":
        return cls.read(_to_xml(settings, stages, layout), settings)

    @classmethod
    def read(cls, xml: str, settings: Haar) -> "Cascade":
        """ValueError for a text that is no cascade."""
        try:
            root = ElementTree.fromstring(xml)
        except ElementTree.ParseError as error:
            raise ValueError(f"no XML: {error}") from None
        points = [(point.text or "").split() for point in root.iterfind("layout/_")]
        layout = Layout(
            places=np.array([[float(x), float(y)] for x, y, _ in points]),
            about=np.array([int(about) for *_, about in points]),
        )
        numbers = 3 * sum(1 for _ in root.iter("leafValues")) + len(root.findall("cascade/stages/_"))
        return cls(settings=settings, xml=xml, classifier=_load_classifier(xml), layout=layout, numbers=numbers)

    def windows(self, image: Pixels, neighbours: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """x, y and side of the detections in an image, in order, and how many windows each is made of."""
        side = len(image)
        least, most = (round(share * side) for share in (self.settings.least, self.settings.most))
        detections, counts = self.classifier.detectMultiScale2(
            image, scaleFactor=self.settings.step, minNeighbors=neighbours, minSize=(least, least),
            maxSize=(most, most),
        )  # fmt: skip
        rows = np.array(detections, np.int64).reshape(-1, 4)[:, :3]
        order = np.lexsort(rows.T[::-1])  # OpenCV's threads detect them in any order
        return rows[order], np.array(counts, np.int64).ravel()[order]

    def locate(self, images: Pixels) -> Coordinates:
        """Column and row (shares of the side) and confidence of each point in images (n, 1, side, side)."""
        located = np.empty((len(images), len(self.layout.places), 3))
        for at, image in enumerate(images):
            located[at] = self._locate_in_image(equalise(image[0]))
        return located

    def _locate_in_image(self, image: Pixels) -> Coordinates:
        rows, counts = self.windows(image, self.settings.neighbours)
        middles = (rows[:, :2] + rows[:, 2:] / 2) / len(image)
        confidence = 1 - LEAST_CONFIDENCE * self.settings.neighbours / np.maximum(counts, 1)
        return name_detections(self.layout, middles, confidence)


def equalise(image: Pixels) -> Pixels:
    """The image with an even histogram: OpenCV's classifier takes a window of little contrast for empty."""
    return np.asarray(cv2.equalizeHist(np.ascontiguousarray(image)), np.uint8)


def _load_classifier(xml: str) -> cv2.CascadeClassifier:
    classifier = cv2.CascadeClassifier()
    try:
        file = cv2.FileStorage(xml, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        loaded = classifier.read(file.getFirstTopLevelNode())
    except (cv2.error, SystemError):  # the second is what Python makes of the first
        loaded = False
    if not loaded:
        raise ValueError("OpenCV reads no cascade from this text")
    return classifier


def _to_xml(settings: Haar, stages: Sequence[Stage], layout: Layout) -> str:
    """The file's text. Each number is the shortest text that reads back as the same number."""
    root = ElementTree.Element("opencv_storage")
    cascade = ElementTree.SubElement(root, "cascade")
    side = str(settings.window)
    _add_texts(cascade, stageType="BOOST", featureType="HAAR", height=side, width=side)
    params = ElementTree.SubElement(cascade, "stageParams")
    _add_texts(params, boostType="GAB", minHitRate=repr(settings.hit_rate), maxFalseAlarm=repr(settings.false_alarms),
               weightTrimRate="1.", maxDepth="1", maxWeakCount=str(settings.stumps))  # fmt: skip
    _add_texts(ElementTree.SubElement(cascade, "featureParams"), maxCatCount="0", featSize="1", mode="BASIC")
    _add_texts(cascade, stageNum=str(len(stages)))
    stages_node, features_node = ElementTree.SubElement(cascade, "stages"), ElementTree.Element("features")
    number = 0
    for stage in stages:
        stage_node = ElementTree.SubElement(stages_node, "_")
        _add_texts(stage_node, maxWeakCount=str(len(stage.features)), stageThreshold=repr(stage.least))
        stumps = ElementTree.SubElement(stage_node, "weakClassifiers")
        for feature, threshold, leaves in zip(stage.features, stage.thresholds, stage.leaves):
            nodes = f"0 -1 {number} {threshold!s}"
            _add_texts(ElementTree.SubElement(stumps, "_"), internalNodes=nodes, leafValues=" ".join(map(str, leaves)))
            rects = ElementTree.SubElement(ElementTree.SubElement(features_node, "_"), "rects")
            for rect in feature[feature[:, 4] != 0].tolist():
                _add_texts(rects, _=" ".join(map(str, rect)) + ".")
            number += 1
    cascade.append(features_node)
    layout_node = ElementTree.SubElement(root, "layout")
    for (x, y), about in zip(layout.places.tolist(), layout.about.tolist()):
        _add_texts(layout_node, _=f"{x} {y} {about}")
    ElementTree.indent(root, " ")
    return f'<?xml version="1.0"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add_texts(parent: ElementTree.Element, **texts: str) -> None:
    """Add one child per text."""
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text
