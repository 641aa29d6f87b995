"""Finds and reads lines of letters in one picture with rapidocr.

Importing this imports rapidocr and ONNX Runtime, which start threads, so a tool does it when it
runs, behind the walls. The models are those in rapidocr's own package; none is fetched.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy
import rapidocr
from PIL import Image

from processors.tools.ocr_lines import Line, in_reading_order

MODELS = Path(rapidocr.__file__).parent / "models"
THREADS = 1
"""Runs share the processor; each takes one part of it."""


class Engine:
    """Reads one picture after the other; making it takes a second."""

    def __init__(self, confidence: int) -> None:
        cv2.setNumThreads(THREADS)
        self._reader = rapidocr.RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.text_score": confidence / 100,
                "EngineConfig.onnxruntime.intra_op_num_threads": THREADS,
                "EngineConfig.onnxruntime.inter_op_num_threads": THREADS,
                "Det.model_path": _model("_det_"),
                "Cls.model_path": _model("_cls_"),
                "Rec.model_path": _model("_rec_"),
            }
        )

    def lines(self, picture: Image.Image) -> list[Line]:
        """The pieces of text in a picture, from top to bottom and from left to right."""
        pixels = numpy.asarray(picture.convert("RGB"))[:, :, ::-1]
        found: Any = self._reader(pixels)
        if found.txts is None:
            return []
        pieces = zip(found.boxes, found.txts, found.scores, strict=True)
        return in_reading_order([_line(box, text, float(score)) for box, text, score in pieces])


def _model(kind: str) -> str:
    return str(next(MODELS.glob(f"*{kind}*.onnx")))


def _line(box: Any, text: str, confidence: float) -> Line:
    across, down = box[:, 0], box[:, 1]
    return Line(
        text,
        *(float(across.min()), float(down.min()), float(across.max()), float(down.max())),
        confidence,
    )
