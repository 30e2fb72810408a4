# Thin on purpose: course.py does the work, on Windows too (py course.py lab). `make` alone lists the commands.
#
#   make lab                 ARGS="--port=9999"                 options for JupyterLab
#   make check               ARGS="-k vision"                   style and fast tests, while editing
#   make test                ARGS="tests/grading -x"            options for pytest
#   make test-browser        ARGS="-k 05"                       every lesson in a browser
#   make grade LAB=lab01 FROM=folder-or-zip-of-submissions
#   make release                                             the zip for learners
#   make site                                                the website, into build/site/
#   make execute             ARGS="00 01"

# An older Python does as well: course.py looks for a newer one itself.
NAMES := python3 python3.13 python3.12 python3.11 python
PYTHON := $(firstword $(foreach name,$(NAMES),$(if $(shell command -v $(name) 2>/dev/null),$(name))))

COMMANDS := help lab check test test-browser test-nightly test-lowest test-latest bench grade dask labs release site
COMMANDS += execute pin
$(COMMANDS): python
	@$(PYTHON) course.py $@ $(if $(filter grade,$@),"$(LAB)" "$(FROM)") $(ARGS)

python:
	@test -n "$(PYTHON)" || { echo "Python is missing: install 3.11 or newer from" \
		"https://www.python.org/downloads and run the same command again" >&2; exit 1; }

.PHONY: $(COMMANDS) python
