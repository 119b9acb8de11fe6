"""Object detection on a binary backbone: training, scores, export. The command is `bssl-detect`.

    from bssl_tf.config.detection import AnnotatedDataSettings, DetectionConfig, DetectionRunSettings
    from bssl_tf.detection import train_detector

    data, run = AnnotatedDataSettings("coco:train.json,images"), DetectionRunSettings("runs/photos")
    scores = train_detector(DetectionConfig(data=data, run=run))

Boxes are (y0, x0, y1, x1) throughout, the corner at the top left first: as shares of the image's height and width in
`Annotations` and in the exported file, in pixels of the network's image inside of it.
"""

from typing import TYPE_CHECKING

from bssl_tf._lazy import lazy_names

if TYPE_CHECKING:
    from bssl_tf.detection.model import Detector, load_detector
    from bssl_tf.detection.run import train_detector
    from bssl_tf.detection.tflite import TfliteDetector

_MODULES = {
    "bssl_tf.detection.model": ("Detector", "load_detector"),
    "bssl_tf.detection.run": ("train_detector",),
    "bssl_tf.detection.tflite": ("TfliteDetector",),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)
__all__ = sorted(name for names in _MODULES.values() for name in names)
