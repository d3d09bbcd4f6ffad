# Everything installs into .venv; `make demo` and `make test` set up what they need.
PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
MODELS := $(addprefix tests/model/test_,by_hand.py closed_forms.py laws_of_models.py)
UNIT   := tests/arch tests/trace tests/energy tests/oracle tests/plots tests/run tests/diff $(wildcard tests/test_*.py)
APT    := $(if $(filter 0,$(shell id -u)),,sudo )apt-get

.PHONY: setup demo test unit test-slow test-modes notebooks docs verify fuzz faults mutate bench anchors negative-result campaign gpu-campaign \
        results iverilog browser browser-test rtl-test rtl-wave rtl-synth rtl-energy lint clean

$(PY):
	$(PYTHON) -m venv $(VENV)

# What the simulator needs: no torch.
$(VENV)/.simulator: pyproject.toml constraints.txt | $(PY)
	@echo "installing the simulator into $(VENV)"
	$(PIP) --editable .
	@touch $@

# Trainer, tests, linters, notebooks, cocotb and the site as well.
$(VENV)/.everything: pyproject.toml constraints.txt | $(PY)
	@echo "installing simulator, trainer, tests, linters, notebooks and the site into $(VENV)"
	$(PIP) --editable '.[train,dev,rtl,notebooks,docs]'
	@touch $@ $(VENV)/.simulator $(VENV)/.rtl

setup: $(VENV)/.everything

demo: $(VENV)/.simulator
	$(PY) -m hwsim.run --arch configs/pe16x16.yaml --trace

# Without Icarus Verilog it says so and leaves the tests of the Verilog out.
test: setup lint
	-@$(MAKE) --no-print-directory iverilog
	$(PY) -m pytest -q -rs

# The quick loop, under a minute on two idle cores: no pages, no torch, no Verilog, no sweeps.
unit: setup
	$(PY) -m pytest -q -n auto -m "not docs and not slow" $(UNIT)

test-slow: setup
	$(PY) -m pytest -q -rs -m slow

# Runs the notebooks and keeps their outputs; NAMES=03_design_space.py runs one.
notebooks: setup
	$(PY) notebooks/refresh.py $(NAMES)

# The site of docs/, in site/; a warning or a link that leads nowhere is an error. No network needed.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet --site-dir site

# The suite once more where kernels are plain Python, and where every index of theirs is checked.
test-modes: setup
	NUMBA_DISABLE_JIT=1 $(PY) -m pytest -q -rs
	NUMBA_BOUNDSCHECK=1 $(PY) -m pytest -q -rs

# Simulator, tests and cocotb: no torch.
$(VENV)/.rtl: pyproject.toml constraints.txt | $(PY)
	@echo "installing simulator, tests and cocotb into $(VENV)"
	$(PIP) --editable '.[dev,rtl]'
	@touch $@

iverilog:
	@command -v iverilog > /dev/null || { $(APT) update -qq && $(APT) install -y -qq iverilog; } \
		|| { echo "RTL NOT RUN: Icarus Verilog is missing and apt-get could not install it"; exit 1; }

# Chromium and Playwright, for the tests that look at pages of hwsim report; without them they say so and are left out.
browser: setup
	@command -v chromium > /dev/null || command -v chromium-browser > /dev/null \
		|| { $(APT) update -qq && $(APT) install -y -qq chromium; } \
		|| { echo "PAGES NOT SEEN: Chromium is missing and apt-get could not install it"; exit 1; }
	@$(PY) -c "import playwright" 2> /dev/null || $(PIP) --editable '.[browser]' \
		|| { echo "PAGES NOT SEEN: Playwright is missing and pip could not install it"; exit 1; }

# Screenshots of every page are left in build/screenshots for a person to look at.
browser-test: browser
	SCREENSHOTS=build/screenshots $(PY) -m pytest -q -rs tests/report

# The whole comparison of the Verilog with oracle and kernel, and what is asked of every model; fails
# where it cannot be run.
rtl-test: $(VENV)/.rtl iverilog
	$(PY) -m pytest -q -rs -m "slow or not slow" tests/rtl $(MODELS)

# The waves of one tile of a layer in out/rtl-wave, with GTKWave's list of signals and the tile's timeline:
# make rtl-wave LAYER=layer4.1.conv1 TILE=0 IMAGE=0 ARGS="--trace mine.h5 --arch mine.yaml --scheme unstructured".
TILE  ?= 0
IMAGE ?= 0
rtl-wave:
	@test -n "$(LAYER)" || { echo "usage: make rtl-wave LAYER=NAME [TILE=K] [IMAGE=N] [ARGS=\"--trace FILE ...\"]"; exit 2; }
	@$(MAKE) --no-print-directory $(VENV)/.rtl iverilog
	$(PY) -m tools.rtl_wave --layer "$(LAYER)" --tile $(TILE) --image $(IMAGE) $(ARGS)

rtl-synth:
	@command -v yosys > /dev/null || { $(APT) update -qq && $(APT) install -y -qq yosys; } \
		|| { echo "RTL NOT SYNTHESISED: yosys is missing and apt-get could not install it"; exit 1; }
	$(PYTHON) rtl/synth.py

# The cell library, without the tools whose package would bring it along.
CELLS := build/osu018
$(CELLS)/package:
	@mkdir -p build
	@{ cd build && { apt-get download -qq qflow-tech-osu018 2> /dev/null \
		|| { $(APT) update -qq && apt-get download -qq qflow-tech-osu018; }; } \
		&& dpkg-deb -x qflow-tech-osu018_*.deb osu018 && dpkg-deb -W qflow-tech-osu018_*.deb > osu018/package; } \
		|| { echo "GATES NOT MEASURED: apt-get could not bring qflow-tech-osu018"; exit 1; }

# Ten minutes on two cores at most; WRITE=--write keeps the tables as docs/evidence/gates.md and gates.csv.
rtl-energy: $(VENV)/.simulator $(CELLS)/package iverilog
	@command -v yosys > /dev/null && command -v sta > /dev/null \
		|| { $(APT) update -qq && $(APT) install -y -qq yosys opensta; } \
		|| { echo "GATES NOT MEASURED: yosys or opensta is missing and apt-get could not install it"; exit 1; }
	$(PY) -m tools.rtl_energy $(WRITE)

# A quarter of an hour on two cores; WRITE=--write keeps the report as docs/evidence/verification.md. Without Icarus
# Verilog it says so, runs the rest and fails.
verify: setup
	-@$(MAKE) --no-print-directory iverilog
	$(PY) -m tools.verification $(WRITE)

# A quarter of an hour on two cores: commands killed, stopped, starved of disk; WRITE=--write keeps the report as
# docs/evidence/faults.md, ARGS="--only SIGINT" runs a part. What the machine cannot do is named and left out.
faults: setup
	$(PY) -m tools.faults $(WRITE) $(ARGS)

# Some minutes; ARGS=--write puts the tables into docs/evidence/benchmarks.md, ARGS=--help shows the rest.
bench: $(VENV)/.simulator
	$(PY) -m benchmarks.run $(ARGS)

# A minute. Published results of others beside ours; ANCHORS=DIR holds files of theirs (DIR/eyeriss_v2), without which
# such an anchor says that it was not run. WRITE=--write puts the tables into docs/evidence/anchors.md.
anchors: $(VENV)/.simulator
	$(PY) -m benchmarks.anchors $(if $(ANCHORS),--data "$(ANCHORS)") $(WRITE)

# Forty minutes on two cores, or what an interrupted campaign has left; WRITE=--write keeps the report
# as docs/evidence/mutations.md. Without Icarus Verilog it says so, runs the rest and fails.
mutate: setup
	-@$(MAKE) --no-print-directory iverilog
	$(PY) -m tools.mutation $(WRITE)

# Hostile inputs of every kind, SECONDS of them; those that fail are kept in .fuzz. An hour is SECONDS=3600;
# WRITE=--write keeps the report as docs/evidence/fuzzing.md.
SECONDS ?= 60
SEED    ?= 0
# A fork copies a table of the parent's pages: large ones take half of its time.
fuzz: export GLIBC_TUNABLES = glibc.malloc.hugetlb=1
fuzz: setup
	$(PY) -m tools.fuzz --seconds $(SECONDS) --seed $(SEED) $(WRITE)

# Eight small networks, two minutes each on two idle cores; a killed run goes on where it was.
RUNS ?= runs/negative-result
negative-result:
	@test -n "$(DATA)" || { echo "usage: make negative-result DATA=DIR (train*.parquet, test*.parquet)"; exit 2; }
	@$(MAKE) --no-print-directory setup
	$(PY) -m studies.negative_result --data "$(DATA)" --out "$(RUNS)"

# The networks of docs/evidence/results.md: half a day on two cores; DATA holds cifar10/ and imagenet100-64/. A stopped
# campaign goes on where it was. START holds the weights that those of width 64 are trained on from, which it
# asks for. `make results` writes the page from what it kept.
CAMPAIGN ?= runs/campaign
campaign:
	@test -n "$(DATA)" || { echo "usage: make campaign DATA=DIR (DIR/cifar10, DIR/imagenet100-64)"; exit 2; }
	@$(MAKE) --no-print-directory setup
	$(PY) -m studies.results.campaign --data "$(DATA)" --out "$(CAMPAIGN)" $(if $(START),--start "$(START)")
	$(PY) -m studies.results.page

# The same networks on a GPU that is lent for minutes: with the machine's own python and torch, nothing
# installed. Each call is a job of MINUTES and goes on where the one before it ended (FROM, or OUT itself);
# JOBS says how many there will be. A job leaves at most eight files of at most 15 MiB in OUT.
MINUTES ?= 9
JOBS    ?= 3
METHODS ?= scdg cdg dense
gpu-campaign:
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo "usage: make gpu-campaign DATA=DIR OUT=DIR (train*.parquet, test*.parquet)"; exit 2; }
	$(PYTHON) -m tools.gpu_campaign --data "$(DATA)" --out "$(OUT)" $(if $(FROM),--from "$(FROM)") \
		--minutes $(MINUTES) --jobs $(JOBS) --methods $(METHODS) $(ARGS)

results: setup
	$(PY) -m studies.results.page

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

clean:
	rm -rf $(VENV) build site benchmarks/.cache .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis .fuzz .mutation
