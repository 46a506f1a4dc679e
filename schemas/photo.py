"""A photo with an optional description: `connector ingest schemas.photo:space FOLDER`."""

from connector import Blob, Id, ImageSpace, Schema, Text


class Photo(Schema):
    """A picture file; its description may come from a sidecar `.txt` or be left out."""

    id: Id
    image: Blob
    description: Text[str | None]


space = ImageSpace(Photo.image + Photo.description)
