"""What pages, API and compat share."""
