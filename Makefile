# make app    the app on http://localhost:8501
# make test   every test
# make bench  the slow benchmarks: one turn of the loop
# make bench-preview  how fast previews are and how well they foretell a retraining: a quarter of an hour
# make bench-judge  the judges' runner under faults, load and stops: ten minutes
# make bench-pages  how fast every page answers at 1 000 000 clicks: the first time half an hour, then a quarter of one
# make bench-quality  the tables of quality: hours, goes on where it was stopped
# make screens  the pictures of every page under docs/
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: app test screens bench bench-quality bench-preview bench-judge bench-pages clean

app: $(VENV)/.installed
	@$(RUN) -m core datasets --json | grep -q '"name"' || $(RUN) -m core demo
	$(RUN) -m streamlit run app/main.py --server.port $(PORT)

# in the order of their names: the browser's files have few tests and take the longest, so they must not come last
test: $(VENV)/.installed
	$(RUN) -m ruff check .
	$(RUN) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

bench: $(VENV)/.installed
	$(RUN) -m benchmarks.loop

bench-preview: $(VENV)/.installed
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks.preview $(BENCH_ARGS)

bench-judge: $(VENV)/.installed
	$(RUN) -m benchmarks.judging $(BENCH_ARGS)

bench-pages: $(VENV)/.installed
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks.pages $(BENCH_ARGS)

bench-quality: $(VENV)/.installed
	OMP_WAIT_POLICY=PASSIVE $(RUN) -m benchmarks.quality $(BENCH_ARGS)

screens: $(VENV)/.installed
	$(RUN) -m docs.screens

# torch first: its CPU build has a version of its own, which the pinned list then accepts
$(VENV)/.installed: requirements.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Winnow needs Python 3.11 or newer")'
	@echo "Installing into $(VENV), once: a minute or three."
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check $(shell grep '^torch==' requirements.txt)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

clean:
	rm -rf $(VENV)
