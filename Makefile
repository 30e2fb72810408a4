# Thin on purpose: course.py does the work, on Windows too (py course.py lab). `make` alone lists the commands.
#
#   make lab                 ARGS="--port=9999"                 options for JupyterLab
#   make test                ARGS="tests/test_course.py -x"     options for pytest
#   make grade LAB=lab01 FROM=folder-of-submissions
#   make execute             ARGS="00 01"

# An older Python does as well: course.py looks for a newer one itself.
NAMES := python3 python3.13 python3.12 python3.11 python
PYTHON := $(firstword $(foreach name,$(NAMES),$(if $(shell command -v $(name) 2>/dev/null),$(name))))

help lab test bench grade labs execute pin: python
	@$(PYTHON) course.py $@ $(if $(filter grade,$@),"$(LAB)" "$(FROM)") $(ARGS)

python:
	@test -n "$(PYTHON)" || { echo "Python is missing: install 3.11 or newer from" \
		"https://www.python.org/downloads and run the same command again" >&2; exit 1; }

.PHONY: help lab test bench grade labs execute pin python
