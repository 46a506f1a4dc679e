"""The README's first code, whole: declare a record, ingest a feed, search by words, by picture and by both."""

import sys
import tempfile
from pathlib import Path

from connector import Blob, Connector, Field, Id, ImageSpace, Schema, Text
from connector.demo.catalogue import write_catalogue


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text
    brand: Field[str]
    price: Field[float]


# The demo model ships with the package; leave `model` out for CLIP ViT-B/32 from the hub.
space = ImageSpace(Product.photo + Product.title, model="demo")

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
feed = write_catalogue(folder, 60)

with Connector(space, qdrant=folder / "shop.qdrant") as shop:
    print(shop.ingest(feed))
    for hit in shop.search("red mug", limit=3):
        print(f"{hit.score:.2f}  {hit.record.title}")

    picture = (folder / "pictures" / "p0001.jpg").read_bytes()
    for hit in shop.search("blue", image=picture, where=Product.price < 80, limit=3):
        print(f"{hit.score:.2f}  {hit.record.title}, {hit.record.price:.2f} by {hit.record.brand}")
