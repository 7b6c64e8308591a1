"""A real worker, whose process that teaches takes few and small steps."""

from flask_detector.cli import main
from flask_detector.worker import teaching

vars(teaching).update(TEACHER="tests.support.small_teacher")
main(["worker"])
