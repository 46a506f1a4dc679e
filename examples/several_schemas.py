"""Two kinds of record in one vector space: a search finds both, or only the kind that is asked for."""

import sys
import tempfile
from pathlib import Path

from connector import Blob, Connector, Field, Id, ImageSpace, Schema, Text
from connector.demo.catalogue import write_catalogue


class Article(Schema):
    slug: Id
    cover: Blob
    headline: Text


class Item(Schema):
    sku: Id
    photo: Blob
    title: Text
    price: Field[float]


space: ImageSpace[Article | Item] = ImageSpace(
    [Article.cover + Article.headline, Item.photo + Item.title], model="demo"
)

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
feed = write_catalogue(folder, 40)

with Connector(space) as site:
    print(site.ingest(feed, schema=Item))
    covers = [("mugs", "p0001.jpg", "Ten mugs we love"), ("umbrellas", "p0002.jpg", "Rain? Three umbrellas")]
    articles = [Article(slug=slug, cover=f"pictures/{file}", headline=text) for slug, file, text in covers]
    print(site.ingest(articles, base=folder))

    for hit in site.search("a mug", limit=4):
        print(f"{hit.score:.2f}  {type(hit.record).__name__}  {hit.id}")
    for article in site.search("an umbrella", schema=Article):
        print(f"{article.score:.2f}  {article.record.headline}")
    for item in site.search("an umbrella", where=Item.price < 20):
        print(f"{item.score:.2f}  {item.record}")
