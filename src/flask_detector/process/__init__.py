"""What every process needs: logging, memory, readiness. Standard library only."""
