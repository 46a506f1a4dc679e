"""Words and a picture in one query, weighted; negative weights; by example; scores of the parts; paging."""

import sys
import tempfile
from pathlib import Path

from connector import Connector
from connector.demo.catalogue import write_catalogue
from schemas.product import Product, space

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
feed = write_catalogue(folder, 120)

with Connector(space.with_model("demo"), qdrant=folder / "shop.qdrant") as shop:
    shop.ingest(feed)
    picture = (folder / "pictures" / "p0003.jpg").read_bytes()

    print("Mostly the picture, a little of the words:")
    for hit in shop.search("yellow", image=picture, weights=(0.8, 0.2), limit=3):
        print(
            f"{hit.score:.2f}  {hit.record.title}  picture {hit.parts.image:.2f}, words {hit.parts.text:.2f}"
        )

    print("Like this picture, but not red:")
    for hit in shop.search("red", image=picture, weights=(1.0, -0.5), limit=3):
        print(f"{hit.score:.2f}  {hit.record.title}")

    print("More like p0003, in stock, the second page:")
    for hit in shop.search(like="p0003", where=Product.in_stock == True, limit=3, offset=3):  # noqa: E712
        print(f"{hit.score:.2f}  {hit.record.title}")
