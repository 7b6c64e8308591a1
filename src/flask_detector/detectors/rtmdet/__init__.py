"""RTMDet-Ins of MMDetection, in all its sizes, without PyTorch: boxes and masks in one pass."""
