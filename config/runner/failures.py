"""What keeps the runner from going on, said so that the reader knows the way out."""


class CannotStart(Exception):
    """One sentence for the person at the terminal: what is wrong and how to mend it."""
