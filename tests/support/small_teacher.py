"""The process that teaches, with few and small steps, at the usual priority: PARENT FOLDER."""

import os
import sys

from flask_detector.teach import lesson, training
from flask_detector.teach.bases import NanoDetBase
from flask_detector.worker import teacher

parent, folder = sys.argv[1:]
vars(lesson).update(LEAST_STEPS=int(os.environ["LESSON_STEPS"]), MOST_STEPS=10_000, EPOCHS=0)
vars(training).update(_CHECKPOINT_SECONDS=0.0)
NanoDetBase.side = 128
NanoDetBase.batch = 2
vars(teacher).update(step_back=lambda: None)
teacher.main(int(parent), folder)
