"""The 80 classes of COCO, in the order that MMDetection and most COCO models use."""

# Source: COCO 2017 instances annotations, categories in ascending id, without the ids that have no instances.
COCO_LABELS = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase",
    "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip

# COCO's category ids run to 90; these ten have no instances.
COCO_NUMBERS = 90
UNUSED_COCO_NUMBERS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
USED_COCO_NUMBERS = tuple(i for i in range(1, COCO_NUMBERS + 1) if i not in UNUSED_COCO_NUMBERS)
