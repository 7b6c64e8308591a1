"""Print what LabelMe finds in its files: python read_with_labelme.py FILE..."""

import json
import sys

from labelme._label_file import LabelFile

files = [LabelFile(path) for path in sys.argv[1:]]
json.dump([[file.image_path, len(file.image_data), file.shapes] for file in files], sys.stdout)
