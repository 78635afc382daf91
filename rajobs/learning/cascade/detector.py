"""A boosted cascade that shows where things are: OpenCV's file of it, and what it finds in an image.

<cascade>  as opencv_traincascade 3.4 writes one; cv2.CascadeClassifier loads the file
<layout>   where each place lies on average, in shares of the side, and the number of the one it swings about
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray

from rajobs.learning.cascade.boosting import Stage
from rajobs.learning.cascade.haar import Haar
from rajobs.learning.cascade.joint_naming import Layout, name_finds
from rajobs.learning.points import LEAST_CONFIDENCE

Pixels = NDArray[np.uint8]
P = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Cascade:
    """A trained cascade."""

    settings: Haar
    xml: str = field(repr=False)
    classifier: cv2.CascadeClassifier
    layout: Layout
    numbers: int  # that were learnt

    @classmethod
    def of(cls, settings: Haar, stages: Sequence[Stage], layout: Layout) -> "Cascade":
        return cls.read(_xml(settings, stages, layout), settings)

    @classmethod
    def read(cls, xml: str, settings: Haar) -> "Cascade":
        root = ElementTree.fromstring(xml)
        told = [(place.text or "").split() for place in root.iterfind("layout/_")]
        layout = Layout(
            places=np.array([[float(x), float(y)] for x, y, _ in told]), about=np.array([int(at) for *_, at in told])
        )
        numbers = 3 * sum(1 for _ in root.iter("leafValues")) + len(root.findall("cascade/stages/_"))
        return cls(settings=settings, xml=xml, classifier=_classifier(xml), layout=layout, numbers=numbers)

    def windows(self, image: Pixels, neighbours: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """x, y and side of the windows found in an image, in order, and how many lay on each other there."""
        side = len(image)
        least, most = (round(share * side) for share in (self.settings.least, self.settings.most))
        found, counts = self.classifier.detectMultiScale2(
            image, scaleFactor=self.settings.step, minNeighbors=neighbours, minSize=(least, least),
            maxSize=(most, most),
        )  # fmt: skip
        rows = np.array(found, np.int64).reshape(-1, 4)[:, :3]
        order = np.lexsort(rows.T[::-1])  # OpenCV's threads find them in any order
        return rows[order], np.array(counts, np.int64).ravel()[order]

    def locate(self, images: Pixels) -> P:
        """Column and row in shares of the side, and sureness, of each place in images (n, 1, side, side)."""
        found = np.empty((len(images), len(self.layout.places), 3))
        for at, image in enumerate(images):
            found[at] = self._find(levelled(image[0]))
        return found

    def _find(self, image: Pixels) -> P:
        rows, counts = self.windows(image, self.settings.neighbours)
        middles = (rows[:, :2] + rows[:, 2:] / 2) / len(image)
        sure = 1 - LEAST_CONFIDENCE * self.settings.neighbours / np.maximum(counts, 1)
        return name_finds(self.layout, middles, sure)


def levelled(image: Pixels) -> Pixels:
    """With as many pixels of every grey: OpenCV's classifier takes a window of little contrast for empty."""
    return np.asarray(cv2.equalizeHist(np.ascontiguousarray(image)), np.uint8)


def _classifier(xml: str) -> cv2.CascadeClassifier:
    file = cv2.FileStorage(xml, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    classifier = cv2.CascadeClassifier()
    loaded = classifier.read(file.getFirstTopLevelNode())
    assert loaded
    return classifier


def _xml(settings: Haar, stages: Sequence[Stage], layout: Layout) -> str:
    """Numbers as the shortest text that reads back as they are."""
    root = ElementTree.Element("opencv_storage")
    cascade = ElementTree.SubElement(root, "cascade")
    side = str(settings.window)
    _add(cascade, stageType="BOOST", featureType="HAAR", height=side, width=side)
    params = ElementTree.SubElement(cascade, "stageParams")
    _add(params, boostType="GAB", minHitRate=repr(settings.hit_rate), maxFalseAlarm=repr(settings.false_alarms),
         weightTrimRate="1.", maxDepth="1", maxWeakCount=str(settings.stumps))  # fmt: skip
    _add(ElementTree.SubElement(cascade, "featureParams"), maxCatCount="0", featSize="1", mode="BASIC")
    _add(cascade, stageNum=str(len(stages)))
    told, features, number = ElementTree.SubElement(cascade, "stages"), ElementTree.Element("features"), 0
    for stage in stages:
        one = ElementTree.SubElement(told, "_")
        _add(one, maxWeakCount=str(len(stage.features)), stageThreshold=repr(stage.least))
        stumps = ElementTree.SubElement(one, "weakClassifiers")
        for feature, threshold, leaves in zip(stage.features, stage.thresholds, stage.leaves):
            nodes = f"0 -1 {number} {threshold!s}"
            _add(ElementTree.SubElement(stumps, "_"), internalNodes=nodes, leafValues=" ".join(map(str, leaves)))
            rects = ElementTree.SubElement(ElementTree.SubElement(features, "_"), "rects")
            for rect in feature[feature[:, 4] != 0].tolist():
                _add(rects, _=" ".join(map(str, rect)) + ".")
            number += 1
    cascade.append(features)
    places = ElementTree.SubElement(root, "layout")
    for (x, y), about in zip(layout.places.tolist(), layout.about.tolist()):
        _add(places, _=f"{x} {y} {about}")
    ElementTree.indent(root, " ")
    return f'<?xml version="1.0"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(parent: ElementTree.Element, **texts: str) -> None:
    for name, text in texts.items():
        ElementTree.SubElement(parent, name).text = text
