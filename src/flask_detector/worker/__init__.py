"""The process that takes a job, detects and writes what became of it. Imports no Flask."""
