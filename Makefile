# Everything a newcomer needs: make demo, make test, make check. Python 3.11 with venv and a package index is enough.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
# Images of containers often forbid Python to keep what it has compiled: torch then takes three times as long to import,
# in each of a cluster's processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo papers test test-fast check audit docs format lock builtin bench-ingest bench-learning bench-train \
	bench-scans soak soak-ingest soak-score attack clean

$(VENV)/ready: requirements.lock pyproject.toml
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

demo: $(VENV)/ready
	$(BIN)/rajobs demo demo

papers: $(VENV)/ready  # the five papers' protocols on drawn patients, in two hours by its own estimate; it resumes
	$(BIN)/python benchmarks/recipes/papers_cohort.py papers
	$(BIN)/rajobs papers papers/data papers/out --weights none

test: test-fast  # then the jobs: one process has the Ray cluster, the other runs whole jobs by itself
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "(ray or slow) and not long" -n 2 --dist loadscope \
		--no-loadscope-reorder

test-fast: $(VENV)/ready  # what needs neither a Ray cluster nor a whole job, on all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not ray and not slow and not long" -n auto --maxprocesses 8 \
		--dist loadfile

check: $(VENV)/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: $(VENV)/ready  # the page of the papers' printed numbers
	$(BIN)/python -m rajobs.papers.audit > docs/metric-audit.md

docs: $(VENV)/ready  # the reference pages, from the code
	$(BIN)/python -m rajobs.reports.reference_pages docs/reference

format: $(VENV)/ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(VENV)/ready  # after a change of the dependencies
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --quiet -o requirements.lock

bench-ingest: $(VENV)/ready  # 2,000 films beside a plain script, and the driver's memory over 20,000 files: half an hour
	$(BIN)/python benchmarks/speed/ingest_rate.py

soak: soak-ingest soak-score  # every long test: kills, and many workers on few cores
	$(BIN)/python -m pytest -m long

soak-ingest: $(VENV)/ready  # ten kills of the driver, of a worker and of a node, each followed by a restart: half an hour
	$(BIN)/python benchmarks/faults/kills.py ingest

soak-score: $(VENV)/ready  # the same of score; then a cohort of 11,000 films, a worker killed every two minutes: two hours
	$(BIN)/python benchmarks/faults/kills.py score
	$(BIN)/python benchmarks/faults/kills.py score --kinds workers --rounds 1 --patients 1180 --full 120

bench-learning: $(VENV)/ready  # default recipes against targets, readers and published recipes: two hours
	$(BIN)/python benchmarks/recipes/default_recipes.py bench

builtin: $(VENV)/ready  # the models inside the package, learnt from drawings: several hours
	$(BIN)/python -m rajobs.jobs.builtin rajobs/builtin

bench-train: $(VENV)/ready  # the training loop beside a bare one, after bench-learning
	$(BIN)/python benchmarks/speed/training_rate.py bench/data

bench-scans: $(VENV)/ready  # scans beside readers, 002's loop and its leak, the clinic's picture: two hours
	$(BIN)/python benchmarks/recipes/scan_grading.py bench/scans
	$(BIN)/python benchmarks/recipes/scan_drawings.py bench/drawings
	$(BIN)/python benchmarks/recipes/clinic_pictures.py bench/clinic

attack: $(VENV)/ready  # hostile and odd inputs: the fate, time and memory of every object in them
	$(BIN)/python -m tests.imaging.attacks.run

clean:
	rm -rf $(VENV) demo build dist
