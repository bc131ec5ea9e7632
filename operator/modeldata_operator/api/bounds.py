"""How long a text from outside may be in what the operator writes: an annotation of a pod has a bound of its own."""

import hashlib
import json

LONGEST_NAME = 253
"""Bytes; the longest name of an object. Of an annotation that says more than that, nothing can be meant."""

LONGEST_VERSION = 64
"""Bytes of a model's version: a label has a character less, and a digest of an image as many."""

_DIGEST = 8
_ENCODER = json.JSONEncoder(ensure_ascii=False)


def size(text: str) -> int:
    """Count the bytes of a text in a JSON document."""
    return len(_ENCODER.encode(text).encode()) - 2


def shortened(text: str, most: int) -> str:
    """Cut a text to so many bytes of a JSON document. A digest follows: texts that begin alike must not become one."""
    if len(text) <= most and size(text) <= most:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]
    kept = text[:most]
    # A character takes six bytes at most, so that each step is at most half of what is still too long, or one.
    while (over := size(kept) + 1 + _DIGEST - most) > 0:
        kept = kept[: -max(1, over // 6)]
    return f"{kept}-{digest}"
