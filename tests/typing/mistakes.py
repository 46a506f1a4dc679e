"""What users get wrong, and what both type checkers must report: exactly the marked lines."""

from __future__ import annotations

from connector import Blob, Connector, Field, Hit, Id, ImageSpace, Schema, Text, field


class Product(Schema):
    sku: Id
    photo: Blob
    title: Text
    brand: Field[str]
    price: Field[float]
    tags: Field[list[str]] = field(default_factory=list)


class Photo(Schema):
    id: Id[int]
    image: Blob
    words: Text


shop = Connector(ImageSpace(Product.photo + Product.title), qdrant=":memory:")
shoe = Product(sku="a1", photo="shoe.jpg", title="Red shoe", brand="Acme", price=59.0)

# A wrong field.
print(Product.prcie)  # error
print(shoe.prcie)  # error

# A wrong type in a comparison.
print(Product.price < "80")  # error
print(Product.price >= None)  # error
print(Product.brand.in_([3]))  # error
print(Product.tags.contains(3))  # error
print(Product.title.matches(3))  # error
shop.search("shoe", where=Product.price == "59")  # error
shop.search("shoe", where=(Product.price == "59") & (Product.brand == "Acme"))  # error
shop.search("shoe", where=Product.sku != 1.5)  # error

# A field that cannot be compared at all.
print(Product.photo < 3)  # error
print(Product.title >= "a")  # error
shop.search("shoe", where=Product.photo == 3)  # error

# A plain value where a condition belongs.
shop.search("shoe", where=True)  # error
shop.search("shoe", where="price < 80")  # error
shop.search("shoe", where=shoe.price < 80)  # error

# A record with a field missing, unknown, of another type or without its name.
Product(sku="a1", photo="shoe.jpg", title="Red shoe", brand="Acme")  # error
Product(sku="a1", photo="shoe.jpg", title="Red shoe", brand="Acme", price=59.0, colour="red")  # error
Product(sku="a1", photo="shoe.jpg", title="Red shoe", brand="Acme", price="59")  # error
Product("a1", photo="shoe.jpg", title="Red shoe", brand="Acme", price=59.0)  # error
Product(sku="a1", photo=None, title="Red shoe", brand="Acme", price=59.0)  # error

# A record changed.
shoe.price = 49.0  # error

# A value taken for something else.
price: str = shoe.price  # error
hits: list[Hit[Photo]] = shop.search("shoe")  # error

# Pictures and descriptions that do not go together.
print(Product.photo + Product.photo)  # error
print(Product.title + Product.title)  # error
print(Product.photo + Photo.words)  # error
print(Product.photo + Product.brand)  # error
