"""Where pictures' bytes are kept: a folder or a bucket. Knows no Flask, Redis or RQ."""
