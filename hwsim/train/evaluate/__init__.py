"""What a trained encoder is worth.

``features`` (kNN), ``probe`` (linear evaluation, fine-tuning), ``costs`` (what runs), ``int8``,
``untrained`` (the baseline), ``evaluation`` (all of them, and the file that keeps them).
"""
