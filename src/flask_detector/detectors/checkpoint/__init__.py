"""What others trained, read without running it."""
