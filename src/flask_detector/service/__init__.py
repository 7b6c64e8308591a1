"""One installation: launch, supervise, look over, count."""
