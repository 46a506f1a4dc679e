"""`make demo`: draw a small shop, ingest it, and search it by words, by picture and by both.

Every line that starts with $ is an ordinary command; it runs in this process, so that the model is loaded once.
"""

import shlex
import sys
from pathlib import Path

from connector.cli import main
from connector.demo.catalogue import write_catalogue

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo-shop")
count = int(sys.argv[2]) if len(sys.argv) > 2 else 300


def run(command: str) -> None:
    """Show a command line and run it."""
    print(f"\n$ connector {command}", flush=True)
    code = main(shlex.split(command))
    sys.stdout.flush()
    if code not in (0, 1):
        sys.exit(code)


print(f"Drawing a shop of {count} products in {folder}/ …", flush=True)
write_catalogue(folder, count)
picture = min((folder / "pictures").iterdir())
shop = f"schemas.product:space --model demo --qdrant {folder / 'shop.qdrant'}"

run(f"ingest {shop} {folder / 'feed.jsonl'}")
run(f"search {shop} 'a red mug' --limit 3")
run(f"search {shop} 'something to wear' --limit 3 --where \"price < 30 and in_stock == true\"")
run(f"search {shop} --image {picture} --limit 3")
run(f"search {shop} 'blue' --image {picture} --weights 0.6,0.4 --where \"price < 80\" --limit 3")
page = folder / "hits.html"
run(f"search {shop} 'two animals' --limit 12 --html {page}")
print(f"\nOpen {page} in a browser to see these hits with their pictures,")
print("or run `make serve` and open http://127.0.0.1:8888/ to search this shop yourself.")
