# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
# Versions that were tested together. `make CONSTRAINTS= ...` takes the newest ones instead.
CONSTRAINTS ?= constraints.txt
BIN := .venv/bin
PIP_CONSTRAINTS := $(if $(CONSTRAINTS),-c $(CONSTRAINTS),)
export DO_NOT_TRACK = 1
export PREFECT_SERVER_ANALYTICS_ENABLED = false

.PHONY: demo test test-fast lint bench docs clean

.venv/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Python 3.11 or newer is needed: make PYTHON=python3.11')"
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_CONSTRAINTS) -e .
	touch $@

.venv/.dev: .venv/.run
	$(BIN)/python -m pip install --quiet $(PIP_CONSTRAINTS) -e '.[dev]'
	touch $@

demo: .venv/.run ## run the main job on the embedded data
	$(BIN)/neurons demo --warehouse warehouse

# Hundreds of processes of the tests import the same modules: compiled ones are kept, whatever the machine says.
test test-fast: export PYTHONDONTWRITEBYTECODE =
test: .venv/.dev ## pass the tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

test-fast: .venv/.dev ## the tests without whole runs and servers
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not flows"

lint: .venv/.dev ## lint, format (Python and SQL), strict types, which room imports which, and the site
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --quiet sql
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

bench: .venv/.dev ## measure, and print ratios
	$(BIN)/python -m bench

docs: .venv/.dev ## build the site into site/, and the data dictionary
	$(BIN)/python -m pipeline.warehouse.views > warehouse/README.md.tmp
	mv warehouse/README.md.tmp warehouse/README.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "Open site/index.html, or, with search: $(BIN)/python -m http.server --bind 127.0.0.1 --directory site"

clean:
	rm -rf .venv dist build site
