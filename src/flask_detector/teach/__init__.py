"""Teaching a model new classes. Only what runs while a network is trained imports PyTorch."""

import os

# PyTorch's threads would keep the processor busy while they wait for one another. Where others compute as
# well, that took three times the processor time and twice as long. It is read when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
