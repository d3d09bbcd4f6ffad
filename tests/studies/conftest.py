"""Networks are small and train on a drawn data set, on one thread."""

from drawn_images import drawn as drawn
from drawn_images import one_thread as one_thread
