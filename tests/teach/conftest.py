"""What trains a network is tested where PyTorch is installed, an extra."""

# Before any test loads PyTorch, this sets what it is to find in the environment.
from flask_detector.teach.run import missing_packages

_WITH_PYTORCH = ["augment", "losses", "network", "run", "training"]
collect_ignore = [f"test_{module}.py" for module in _WITH_PYTORCH] if missing_packages() else []
