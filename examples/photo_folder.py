"""A folder of photos, with sidecar texts where there are some, searched by words: `python photo_folder.py [FOLDER]`."""

import sys
import tempfile
from pathlib import Path

from connector import Connector
from connector.demo.catalogue import write_catalogue
from schemas.photo import space

if len(sys.argv) > 1:
    folder = Path(sys.argv[1])
else:
    folder = Path(tempfile.mkdtemp())
    write_catalogue(folder, 24)
    (folder / "pictures" / "p0001.txt").write_text("my favourite yellow mug", encoding="utf-8")

with Connector(space.with_model("demo"), qdrant=folder / "photos.qdrant") as album:
    print(album.ingest(folder))
    for hit in album.search("a yellow mug", limit=3):
        print(f"{hit.score:.2f}  {hit.id}  {hit.record.description or ''}")
