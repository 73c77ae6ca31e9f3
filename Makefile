PYTHON ?= python3

.PHONY: check test demo clean

check:
	$(PYTHON) bootstrap.py check

test:
	$(PYTHON) bootstrap.py test

demo:
	$(PYTHON) bootstrap.py dlapps demo

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache
