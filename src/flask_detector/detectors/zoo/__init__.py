"""Which models there are, and their files on disk: download, convert, add. No inference engine."""
