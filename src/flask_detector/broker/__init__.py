"""Redis: connecting, Sentinel, explaining failures, a server of our own. Imports no RQ."""
