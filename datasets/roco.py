"""ROCO: radiology figures from open-access papers, with their captions; labels by our own rules.

Trap: the owners' keywords are cut from captions and have lost a final s ("pelvi", "mas", "metastasi").
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.api import Card, Counts, DataError, Expected, Raw, RawSource, param
from bench.datasets import _official, _pictures

PARTS = ("train", "test")  # the owners' validation figures are left out
CLASSES = {  # class → the owners' keywords of which any one gives it
    "ct": "ct cect hrct tomography",
    "mri": "mri mr mrcp mra resonance t1 t2 flair",
    "x-ray": "xray ray radiograph radiography radiographic radiological",
    "ultrasound": "ultrasound ultrasonography sonography doppler echocardiography echocardiogram",
    "angiography": "angiogram angiography arteriogram aortogram venography",
    "nuclear": "pet petct fdg scintigraphy spect",
    "head": "brain cerebral intracranial cranial skull head ventricular orbital",
    "teeth": "tooth dental molar canine premolar mandible maxilla panoramic periapical orthopantomogram",
    "chest": "chest lung lobe pleural thorax thoracic pulmonary mediastinal mediastinum",
    "heart": "heart cardiac ventricle atrium atrial aortic coronary mitral",
    "abdomen": "abdoman abdominal stomach gastric bowel colon pancrea spleen",
    "liver": "liver hepatic biliary gallbladder bile",
    "kidney": "kidney renal ureter adrenal",
    "pelvis": "pelvi pelvic bladder uteru ovarian prostate sacral",
    "spine": "spine spinal vertebra vertebral lumbar cervical cord",
    "arm": "humeru humeral radiu radial ulna ulnar elbow wrist hand shoulder forearm",
    "leg": "femur femoral tibia tibial fibula knee hip ankle foot thigh",
    "vessel": "artery arterial vein venou aneurysm thrombosi aorta",
    "tumour": "tumor mas mass carcinoma cancer metastasi neoplasm",
    "fracture": "fracture dislocation",
}
CARD = Card(
    name="roco",
    title="ROCO, Radiology Objects in COntext",
    sources=("https://github.com/razorx89/roco-dataset",),
    licence="each figure under the licence of its paper, listed in licences.txt",
    citation=(
        "O. Pelka, S. Koitka, J. Rückert, F. Nensa and C. M. Friedrich. Radiology Objects in COntext (ROCO): "
        "A Multimodal Image Dataset. MICCAI Workshop LABELS, 2018."
    ),
    files=tuple(
        Expected(
            path=f"data/{part}/radiology/{name}",
            note="from the owners' repository; its scripts/fetch.py gets the figures into images/",
        )
        for part in PARTS
        for name in ("captions.txt", "keywords.txt", "licences.txt")
    ),
    counts={"": Counts(classes=len(CLASSES))},
)


class Roco(RawSource):
    """Radiology figures of train as the stream, those of test as queries.

    Reads ``PART/radiology/captions.txt``, ``keywords.txt``, ``licences.txt`` (which names the figures)
    and ``images/`` below ``ROOT/roco``. Labels are groups of keywords (``CLASSES`` in this file): how a
    figure was taken, the part of the body, and two findings. A figure without a label or a
    caption is left out.
    """

    image: str = param("resnet50", "view to use as image features")
    card = CARD

    def raw(self, root: Path) -> Raw:
        home = self.home(root)
        figures = [figure for part in PARTS for figure in _figures(home, part)]
        labelled = [figure for figure in figures if figure.text and figure.labels.any()]
        places = {
            name: (folder, name)
            for folder in dict.fromkeys(figure.folder for figure in labelled)
            for name in _pictures.listing(folder)
        }
        pictures, rows, missing = _pictures.choose(home, places, [figure.name for figure in labelled])
        chosen = [labelled[i] for i in rows]
        is_query = np.array([figure.part == "test" for figure in chosen], dtype=bool)
        if not is_query.any() or is_query.all():
            raise DataError(
                f"{home}: {is_query.sum()} of {len(chosen)} figures belong to test; expected figures of "
                "train and of test. Run the owners' scripts/fetch.py for both."
            )
        lost = len(figures) - len(labelled)
        dropped = f"left out, without a label or a caption: {lost}" if lost else ""
        return Raw(
            ids=np.array([figure.number for figure in chosen], dtype=np.intp),
            image=pictures,
            texts=[figure.text for figure in chosen],
            labels=np.stack([figure.labels for figure in chosen]),
            classes=tuple(CLASSES),
            train=np.flatnonzero(~is_query),
            query=np.flatnonzero(is_query),
            notes=tuple(filter(None, (dropped, missing))),
        )


@dataclass(frozen=True, slots=True)
class _Figure:
    number: int
    part: str
    folder: Path
    name: str  # of the picture
    text: str
    labels: np.ndarray[tuple[int], np.dtype[np.uint8]]  # (classes,)


def _figures(home: Path, part: str) -> list[_Figure]:
    """The figures of one part that licences.txt names, in the order of that file."""
    folder = _official.expect(home, f"{part}/radiology/captions.txt", f"the captions of {part}").parent
    captions = {row[0]: " ".join(" ".join(row[1:]).split()) for row in _rows(folder / "captions.txt")}
    keywords = {row[0]: set(row[1:]) for row in _rows(folder / "keywords.txt")}
    groups = [set(words.split()) for words in CLASSES.values()]
    figures = []
    for row in csv.DictReader(_official.lines(folder / "licences.txt")):
        key, name = row.get("ROCO_ID") or "", row.get("PMC_ID") or ""
        if not key.removeprefix("ROCO_").isdigit() or not name:
            raise DataError(
                f"{folder / 'licences.txt'}: has the row {list(row.values())}; expected ROCO_ID, PMC_ID and "
                "CC. Copy the file again."
            )
        own = keywords.get(key, set())
        labels = np.array([bool(group & own) for group in groups], dtype=np.uint8)
        number = int(key.removeprefix("ROCO_"))
        figures.append(_Figure(number, part, folder / "images", name, captions.get(key, ""), labels))
    return figures


def _rows(path: Path) -> list[list[str]]:
    """The fields of every line, which tabs separate."""
    return [line.split("\t") for line in _official.lines(path)]
