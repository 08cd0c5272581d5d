# Poleside. `make demo` shows everything; `make test` tests everything; both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.poleside-setup

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast lint setup setup-demo system-parts bench bench-clips bench-uplink clean
.PHONY: image image-lock image-verify image-faults engines crash-replay crash-errors crash-disk crash-kill faults

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: setup-demo  ## two simulated cameras, the box, a stand-in center, and a page to look at
	@$(BIN)/poleside demo $(DEMO_ARGS)

setup-demo: $(VENV)/.poleside-demo  ## the virtual environment with what the demo needs

$(VENV)/.poleside-demo: pyproject.toml
	@PYTHON="$(PYTHON)" VENV="$(VENV)" image-build/dev/make-venv demo
	@touch $@

setup: $(STAMP) system-parts  ## the virtual environment and all parts of the tests

$(STAMP): pyproject.toml
	@PYTHON="$(PYTHON)" VENV="$(VENV)" image-build/dev/make-venv dev
	@touch $@ $(VENV)/.poleside-demo

system-parts:
	@image-build/dev/system-parts

# Most tests wait more than they reckon, so more run side by side than there are processors.
PYTEST = $(BIN)/python -m pytest -rs --reruns 2
# What failed beside others is tried once more with the machine to itself, and that decides.
AGAIN = $(PYTEST) --last-failed --last-failed-no-failures none $(TEST_ARGS)

test: setup lint  ## everything: types, style, imports, and all tests with the real parts
	@rm -f .pytest_cache/v/cache/lastfailed
	$(PYTEST) -n 5 --dist loadfile --stage many $(TEST_ARGS) || $(AGAIN)
	$(PYTEST) -n 3 --dist loadfile --stage whole_box $(TEST_ARGS) || $(AGAIN)
	$(PYTEST) --stage alone $(TEST_ARGS)
	@if ls $(IMAGE)/poleside-*-virt.img >/dev/null 2>&1; then $(BOOTS) -k a_first_boot_ends $(TEST_ARGS); \
	else echo "left out: a boot of the image (none in $(IMAGE))"; fi
	@echo "left out: further boots (make image-verify, image-faults), long forms (make faults, engines)"

test-fast: setup lint  ## types, style, imports and the unit tests
	$(BIN)/python -m pytest tests/unit tests/property tests/contract $(TEST_ARGS)

lint: $(STAMP)  ## ruff, mypy (strict) and the import contracts
	$(BIN)/ruff check agent hardware tests image-build
	$(BIN)/ruff format --check agent hardware tests image-build
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

crash-replay: setup  ## power cuts at every flush of a logged disk (as root, like the next three)
	$(BIN)/python -m pytest tests/faults/test_crash_replay.py $(TEST_ARGS)

crash-errors: setup  ## single storage calls that fail, and writes cut short
	$(BIN)/python -m pytest tests/faults/test_crash_errors.py $(TEST_ARGS)

crash-disk: setup  ## disks that are full, read-only, broken, frozen, pulled
	$(BIN)/python -m pytest tests/faults/test_crash_disk.py $(TEST_ARGS)

crash-kill: setup  ## kill -9 at any moment
	$(BIN)/python -m pytest tests/faults/test_crash_kill.py $(TEST_ARGS)

faults: setup  ## the long versions of all fault tests: over 1,000 power cuts, every call failed, ...
	$(BIN)/python -m pytest tests/faults tests/integration/test_quiet_scenes.py \
		tests/integration/test_broker_rights.py \
		tests/integration/test_vehicle_push.py -m long $(TEST_ARGS)

engines: setup  ## the shipped model on both inference engines, each in an environment of its own
	$(BIN)/python -m pytest tests/integration/test_two_engines.py -m long $(TEST_ARGS)

bench: setup  ## cost per camera beside ffmpeg, import times, idle memory; controlling cameras; a grant's first picture; an open page
	$(BIN)/python -m tests.bench $(BENCH_ARGS)
	$(BIN)/python -m tests.bench.camera_control $(CONTROL_ARGS)
	$(BIN)/python -m tests.bench.grant_to_picture
	$(BIN)/python -m tests.bench.open_page

bench-clips: setup  ## how soon the first byte of a clip comes, from a ring of a day
	$(BIN)/python -m tests.bench.first_byte $(BENCH_ARGS)

bench-uplink: setup  ## the voice beside mosquitto_pub and the broker's ping; bytes and queues
	$(BIN)/python -m tests.bench.uplink $(BENCH_ARGS)

RECIPE = PYTHONPATH=image-build/python $(BIN)/python -m poleside_recipe

image: $(STAMP)  ## the box image (root, SOURCES=apt-list), or what is missing here to build it
	@$(RECIPE).image $(if $(SOURCES),--sources $(SOURCES)) $(IMAGE_ARGS)

image-lock: $(STAMP)  ## pin the wheels of the image by version and hash
	@$(RECIPE).lock_wheels $(IMAGE_ARGS)

IMAGE ?= build/image
BOOTS = POLESIDE_IMAGE=$(IMAGE) $(BIN)/python -m pytest -rs -m long tests/faults/test_image_boots.py

image-verify: $(STAMP)  ## the image's parts, and boots under QEMU where an image is built; says what is left out
	@$(RECIPE).image --check $(IMAGE_ARGS)
	@$(BIN)/python -m pytest -rs tests/unit/test_image_recipe.py tests/unit/test_appliance_parts.py \
		tests/unit/test_service_unit.py tests/unit/test_boot_backend.py \
		tests/unit/test_update_on_the_box.py tests/unit/test_update_bundle.py \
		tests/unit/test_image_boot_stage.py tests/unit/test_first_boot.py \
		tests/unit/test_jetson_overlay.py \
		tests/integration/test_firewall.py tests/integration/test_network_trial.py \
		tests/property/test_boot_choice_under_power_cuts.py $(TEST_ARGS)
	@if ls $(IMAGE)/poleside-*-virt.img >/dev/null 2>&1; then $(BOOTS) -k "not power_cut" $(TEST_ARGS); \
	else echo "left out: boots; no image in $(IMAGE), make image SOURCES=… makes one"; fi

image-faults: $(STAMP)  ## power cuts from the first boot to a kept update of the built image (root; POLESIDE_LANES at once)
	$(BOOTS) -k power_cut $(TEST_ARGS)

clean:  ## remove what was built; recordings of a demo live in ~/.cache/poleside
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
