"""Collections: pictures that stay, with the objects that persons corrected. Imports no Flask and no RQ.

The truth is files in the storage (`documents.py` has the layout); what must be quick to list is an index in
Redis that is made again from them (`index.py`).
"""
