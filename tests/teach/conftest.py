"""What trains a network is tested where PyTorch is installed, an extra."""

from importlib import import_module

from flask_detector.process.extras import missing_for_teaching

# Before any test loads PyTorch, this sets what it is to find in the environment.
import_module("flask_detector.teach")

_WITH_PYTORCH = ["augment", "export", "losses", "network", "rtmdet_losses", "run", "training"]
collect_ignore = [f"test_{module}.py" for module in _WITH_PYTORCH] if missing_for_teaching() else []
