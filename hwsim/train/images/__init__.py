"""Images: where they come from, decoded, augmented.

``sources``, ``cifar_pickle``, ``drawn`` (for tests), ``views`` (splits and augmented views),
``dataset`` (the options of the command lines).
"""
