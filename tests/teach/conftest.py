"""Before any test loads PyTorch, what it is to find in the environment is set."""

import flask_detector.teach  # noqa: F401
