# Two commands: `make demo` shows it, `make test` checks it. Neither needs a model hub, a server or a GPU.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SHOP := demo-shop

# Models come from disk in the demo and in the tests; asking a hub that cannot be reached would only cost time.
export HF_HUB_OFFLINE = 1
export TOKENIZERS_PARALLELISM = false

.PHONY: help install demo serve browser test check bench clean

help:
	@echo "make demo    install into .venv, draw a small shop, ingest it, search it by words and by pictures"
	@echo "make serve   serve the demo shop: a search page, search and records over HTTP, the jobs API"
	@echo "make test    install what tests need and run them all: ruff, mypy, pyright, pytest"
	@echo "make bench   measure, print ratios, draw them into bench-results/ (half an hour; ARGS=--quick: a few)"
	@echo "make clean   remove .venv, the demo shop and caches"

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.installed-server: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server]'
	touch $@

$(VENV)/.installed-dev: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.installed $(VENV)/.installed-server

install: $(VENV)/.installed

demo: $(VENV)/.installed
	@$(BIN)/python examples/demo.py $(SHOP)

$(SHOP)/shop.qdrant:
	@$(MAKE) --no-print-directory demo

serve: $(VENV)/.installed-server $(SHOP)/shop.qdrant
	@$(BIN)/connector serve schemas.product:space --model demo --qdrant $(SHOP)/shop.qdrant

# The page's tests need a Chromium; where it cannot be installed they are skipped, and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	     && { apt-get install -qq -y chromium || { apt-get update -qq && apt-get install -qq -y chromium; }; } >/dev/null 2>&1; } \
	|| echo "No Chromium here: the page's tests will be skipped. Install the package chromium to run them."

test: $(VENV)/.installed-dev check browser
	$(BIN)/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile

check: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright

bench: $(VENV)/.installed-dev
	@$(BIN)/python -m tests.benchmarks $(ARGS)

clean:
	rm -rf $(VENV) $(SHOP) .mypy_cache .ruff_cache .pytest_cache
