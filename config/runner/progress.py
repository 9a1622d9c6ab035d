"""What the person at the terminal sees."""

from typing import TextIO


class Progress:
    """Numbered steps as they end; on a terminal also what is being done right now."""

    def __init__(self, out: TextIO, total: int) -> None:
        self._out = out
        self._total = total
        self._ended = 0
        self._live = out.isatty()
        self._shown = ""

    def doing(self, what: list[str]) -> None:
        text = f"      {', '.join(what)} ..." if what else ""
        if self._live and text != self._shown:
            self._write(f"\r\033[K{text[:100]}")
            self._shown = text

    def ended(self, what: str, seconds: float) -> None:
        self._ended += 1
        self.line(f"[{self._ended}/{self._total}] {what} ... {seconds:.1f} s")

    def line(self, text: str) -> None:
        clear = "\r\033[K" if self._shown else ""
        self._shown = ""
        self._write(f"{clear}{text}\n")

    def _write(self, text: str) -> None:
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            # The terminal is gone; stopping the plant must go on without it.
            return
