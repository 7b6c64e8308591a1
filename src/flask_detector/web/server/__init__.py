"""gunicorn in one process; slow and malformed clients."""
