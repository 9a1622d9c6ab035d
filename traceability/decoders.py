"""What decoding a foreign image comes to, for the previews and for the process that cuts tiles.

Without Django: the process that meets the files knows nothing of Loupe.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

FORMATS: Final = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
# The longest side of a preview, in pixels.
LONG_SIDE: Final = 2048
# What Pillow's decoders raise on broken or hostile files, by experience.
BROKEN: Final[tuple[type[Exception], ...]] = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    NotImplementedError,  # Pillow's word for a variant of a format that it cannot decode
    MemoryError,
    EOFError,
    struct.error,
    zlib.error,
)
