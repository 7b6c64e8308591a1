"""Label Studio's machine-learning backend."""
