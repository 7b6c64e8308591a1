"""``python -m flask_detector`` is the command ``flask-detector``."""

from flask_detector.cli import main

main()
