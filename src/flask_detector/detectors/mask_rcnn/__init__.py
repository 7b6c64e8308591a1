"""Mask R-CNN R-50 FPN of MMDetection and torchvision, without either.

A checkpoint's way: identify.py tells whose it is, fold_batchnorm.py and convert.py make the weights that
build_graph.py puts together. A picture's way, in model.py: preprocess.py, the features graph, proposals.py,
roi_pooler.py (RoIAlign), the box head, postprocess.py, the mask head, paste_masks.py.
"""
