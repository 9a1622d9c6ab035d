"""What the trainer refuses, each with a sentence a person can act on."""


class TrainerError(Exception):
    """The run cannot go on; the text becomes the failure reason."""


class ImageError(TrainerError):
    """The bytes are not an image that can be read."""


class ImageTooLarge(ImageError):
    """The image has more bytes or pixels than is accepted."""


class ModelError(TrainerError):
    """The model directory is missing, damaged or of a format that is not known."""
