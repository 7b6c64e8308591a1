"""RTMDet and RTMDet-Ins of MMDetection, in all their sizes, without PyTorch: boxes, or boxes and masks."""
