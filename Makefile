# `make demo` shows the system at work, `make test` checks it. Both set up .venv first.

SUITABLE := 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3; do \
	$$p -c $(SUITABLE) >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/ready

.PHONY: demo test lint types unit fuzz bench docs dist constraints audit clean

demo: $(READY)
	$(BIN)/leapai demo
	@echo
	@echo "the command is $(BIN)/leapai; after '. $(BIN)/activate' it is leapai: try leapai --help"

test: lint types unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# Other random damages than those of `make test`: `make fuzz SECONDS=600`.
SECONDS ?= 3600
fuzz: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.robustness.fuzz --seconds $(SECONDS)

bench: $(READY)
	$(BIN)/python benchmarks/bench_network.py
	$(BIN)/python benchmarks/bench_side_by_side.py

docs: $(READY)
	$(BIN)/zensical build --strict --clean
	@echo "open site/index.html"

# Wheel, source distribution and SBOM in dist/, checked in a new environment. It uploads nothing.
dist: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[dist]'
	$(BIN)/python tools/make_distribution.py

# The versions that a fresh installation gets today, as constraints.txt.
constraints:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed"; exit 1; }
	rm -rf .cache/constraints
	$(PYTHON) -m venv .cache/constraints
	.cache/constraints/bin/python -m pip install --quiet --upgrade pip
	.cache/constraints/bin/python -m pip install --quiet --editable '.[dev]'
	@{ echo '# Versions with which everything here was installed and tested together, made by `make constraints`:'; \
	  echo '#     pip install leapai --constraint constraints.txt'; \
	  .cache/constraints/bin/python --version | sed 's/^/# /; s/$$/, Linux/'; \
	  .cache/constraints/bin/python -m pip freeze --all --exclude-editable | grep -v '^#\|^pip='; } > constraints.txt

# Known faults of these versions; asks the database of advisories, over the network. It fails where a
# version cannot be looked up, too.
audit:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed"; exit 1; }
	@test -x .cache/audit/bin/pip-audit || { $(PYTHON) -m venv .cache/audit && \
	  .cache/audit/bin/python -m pip install --quiet pip-audit; }
	.cache/audit/bin/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 with venv is needed"; exit 1; }
	@echo "setting up .venv with $(PYTHON): PyTorch is large, this takes a minute or two"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

clean:
	rm -rf .venv outputs site .cache .mypy_cache .ruff_cache .pytest_cache
