"""What the runner says to the person at the terminal, in the plant's language. Logs are English.

The runner goes before Django and its settings: the catalogue is read by the standard library.
"""

import gettext
import os
from functools import cache
from pathlib import Path

LOCALE = Path(__file__).parents[1] / "locale"


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    return gettext.translation("django", LOCALE, languages=[language], fallback=True)


def in_language(message: str) -> str:
    """The message in the language of LOUPE_LANGUAGE; imported as `_`, so that it is collected."""
    return _catalogue(os.environ.get("LOUPE_LANGUAGE") or "en").gettext(message)
