"""More networks, for what the families of the field have besides; a table like ``FAMILIES``."""

from __future__ import annotations

from zoo import details, detection, uncounted, windows
from zoo.families import SMALL, Family

HARDER: dict[str, Family] = {
    "yolo": Family(detection.Yolo),
    "pyramid": Family(detection.Pyramid),
    "high_resolution": Family(detection.HighResolution, SMALL),
    "asymmetric": Family(details.Asymmetric, SMALL),
    "attended": Family(details.Attended, SMALL),
    "wave": Family(details.Wave, (2, 1, 40)),
    "ghost": Family(details.Ghost, SMALL),
    "larger": Family(details.Larger, SMALL),
    "non_local": Family(details.NonLocal, SMALL),
    "siamese": Family(details.Siamese, SMALL),
    "swin": Family(windows.Swin, SMALL),
    "decoder": Family(windows.Decoder, (2, 12, 16)),
    "summed_products": Family(uncounted.summed_products, SMALL, refused="mul"),
    "distances": Family(uncounted.distances, SMALL, refused="cdist"),
    "bilinear": Family(uncounted.bilinear, SMALL, refused="trilinear"),
    "fourier": Family(uncounted.Fourier, SMALL, refused="complex"),
    "mixture": Family(uncounted.Mixture, SMALL, refused="convolution"),
    "unfolded": Family(uncounted.Unfolded, SMALL),
}
"""By name."""
