"""Signing, queueing and sending webhooks. Imports no Flask."""
