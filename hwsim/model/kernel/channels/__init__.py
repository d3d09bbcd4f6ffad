"""The compiled model of the scheme ``channels``: ``layers`` and the ``visits`` to their tiles."""
