# `make` lists the targets. Everything is installed into .venv; nothing else on the machine is touched.

PYTHON ?= python3
# Where pip looks for a CPU build of torch besides the package index. Empty: the index alone.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
CORPUS ?=
HANDLE ?=
NAME ?=
DATA ?=
MINUTES ?=

BIN := .venv/bin
# `serving` needs the service, all others the language models alone.
BENCH = $(if $(NAME),$(if $(filter serving,$(NAME)),app.bench,ml bench $(NAME)),app.bench --list)
INSTALLED := .venv/installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d' ' -f1)

.DEFAULT_GOAL := help
.PHONY: help run test quick lint fix bench clean

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

run: $(INSTALLED)  ## start the service with a persona to play with: make run [CORPUS=posts.txt] [HANDLE=name]
	@exec $(BIN)/mynah demo $(if $(CORPUS),--corpus "$(CORPUS)") $(if $(HANDLE),--handle "$(HANDLE)")

test: $(INSTALLED)  ## run every test
	@$(BIN)/pytest -n 2 --dist loadfile

quick: $(INSTALLED)  ## run the tests that take little time
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

lint: $(INSTALLED)  ## check style, types and architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fix: $(INSTALLED)  ## repair what the linter can repair
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(INSTALLED)  ## measure against others: make bench NAME=ptb [DATA=folder] [MINUTES=1]; without NAME, which there are
	@$(if $(NAME),exec,$(BIN)/python -m ml bench &&) $(BIN)/python -m $(BENCH) \
	  $(if $(DATA),--data "$(DATA)") $(if $(MINUTES),--minutes $(MINUTES))

clean:  ## remove what was installed and cached, but no data
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# The name holds a checksum of what is to be installed: after a change, the next `make` installs again.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Mynah needs Python 3.11 or newer, and '$(PYTHON)' is older: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (about a gigabyte, once) …"
	@# torch first and by itself: its CPU build is a fifth of the one that the index would choose on Linux.
	@$(BIN)/pip install --quiet --disable-pip-version-check --retries 1 --no-deps \
	  $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(shell grep '^torch==' constraints.txt)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@rm -f .venv/installed-*
	@touch $@
