# make demo: the main job. make test: what CI runs. Both set up what they need in .venv, and may be run again at any time.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One thread per process: every process here works on small matrices, and runs repeat bit for bit.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1

.PHONY: demo test test-all lint records verdicts figures docs clean
.DELETE_ON_ERROR:

demo: .venv/ready-demo
	$(BIN)/ufm check class_encoding

test: .venv/ready-test lint
	$(BIN)/python -m pytest -n auto -m "not slow"

test-all: .venv/ready-test lint docs
	$(BIN)/python -m pytest -n auto

lint: .venv/ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# Rerun what is committed in numerics/records and figures (networks: two hours on two cores).
records: .venv/ready-demo verdicts
	$(BIN)/ufm sweep class_encoding --out numerics/records
	$(BIN)/ufm train class_encoding --out numerics/records
	$(BIN)/ufm train encodings --out numerics/records
	$(BIN)/ufm train heads --out numerics/records
	$(BIN)/ufm train decay --out numerics/records
	$(BIN)/ufm train limits --out numerics/records
	@$(PIP) --editable ".[regression,dimension]"
	$(BIN)/ufm train deep_regression --out numerics/records
	$(BIN)/ufm train feature_norms --out numerics/records
	$(BIN)/ufm train feature_norms_paper --out numerics/records
	$(BIN)/ufm train dimensions --out numerics/records
	$(BIN)/ufm train outside --out numerics/records
	$(BIN)/ufm solve $(PHASES) --lam-W 1 --over lam_H=5.6e-5:0.16:40 --save numerics/records/phases_p2.nc
	$(BIN)/ufm solve $(PHASES) --lam-W 1,1 --over lam_H=2.6e-8:4e-3:40 --save numerics/records/phases_p3.nc
	$(BIN)/ufm solve $(PHASES) --lam-W 1,1,1 --over lam_H=1.7e-11:1.4e-4:40 --save numerics/records/phases_p4.nc

# The verdicts that the figure of the same name shows (some three minutes).
verdicts: .venv/ready-demo
	$(BIN)/ufm report --out results/report.html --verdicts numerics/records/verdicts.json

# Four classes of one sample: the optimum of balanced one-hot labels depends on n through t alone.
PHASES := --classes 4 --counts 1 --lam-H 1 --over lam_b=0.02:50:40

# The site, in build/site: tutorials are run, proofs and verdicts are written into it, a warning is an error.
docs: .venv/ready-docs docs/generated/report.html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs build/site
	@echo "the site is in build/site/index.html"

docs/generated/report.html: $(shell find ufm derivations -name '*.py')
	$(BIN)/ufm report --out $@

figures: .venv/ready-demo
	$(BIN)/ufm figure --all --out figures

.venv/ready-env:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ufm needs Python 3.11 or newer; $(PYTHON) is older or missing. Try: make demo PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv || \
	  { echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu install the package python3-venv."; exit 1; }
	@touch $@

.venv/ready-demo: .venv/ready-env pyproject.toml constraints.txt
	@echo "setting up .venv (first run: a few minutes) ..."
	@$(PIP) --editable . || { echo "The packages above could not be installed; is the package index reachable?"; exit 1; }
	@$(PIP) --editable ".[train]" || echo "PyTorch could not be installed: the recorded networks will speak alone."
	@touch $@

.venv/ready-test: .venv/ready-demo
	@$(PIP) --editable ".[dev]" || { echo "The test tools above could not be installed; is the package index reachable?"; exit 1; }
	@touch $@

.venv/ready-docs: .venv/ready-test
	@$(PIP) --editable ".[docs]" || { echo "The tools above that build the site could not be installed; is the package index reachable?"; exit 1; }
	@touch $@

clean:
	rm -rf .venv build dist results .pytest_cache .ruff_cache .hypothesis
