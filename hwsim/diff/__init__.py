"""What changed between two machines, two runs or two sweeps (``hwsim diff``).

``machines``, ``run_folders`` and ``sweep_folders`` read two sides as ``results``; ``differences``
compares them, ``tables`` prints what it finds, and ``__main__`` is the command.
"""
