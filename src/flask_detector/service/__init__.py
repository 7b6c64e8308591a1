"""One installation: launch, supervise, check, count."""
