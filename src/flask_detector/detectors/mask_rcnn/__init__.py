"""Mask R-CNN R-50 FPN of MMDetection and torchvision, without either.

A checkpoint's way: checkpoint.py reads it, recognise.py tells whose it is, folding.py and converted.py make
the weights of it that graph.py puts together. A picture's way, in model.py: prepare.py, the features graph,
proposals.py, pooling.py (RoIAlign), the box head, selection.py, the mask head, paste.py.
"""

from flask_detector.detectors.mask_rcnn.variants import Variant
from flask_detector.detectors.mask_rcnn.weights_file import GRAPH_VERSION, convert, labels_of

__all__ = ["GRAPH_VERSION", "Variant", "convert", "labels_of"]
