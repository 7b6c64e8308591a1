"""What every process of ours does with itself: log lines, memory, readiness. The standard library alone."""
