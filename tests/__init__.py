"""Tests; a package, so that ``tests.support`` is found here and not in somebody's wheel."""
