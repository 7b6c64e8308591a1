"""A detection as a record on Redis and RQ: queue, look up, admission, news. Imports no worker and no web."""
