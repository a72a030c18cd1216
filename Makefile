PYTHON ?= python3
PORT ?= 8000
export PORT

.PHONY: help demo serve test services lint messages bench screenshots clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-11s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo:  ## see a backup, a bad night and the way back, then the site (PORT=8000; SERVE=no ends instead)
	@python=$$($(PYTHON) scripts/environment.py runtime) && "$$python" scripts/demo.py

serve:  ## open the example mall on 127.0.0.1, with a worker (PORT=8000)
	@python=$$($(PYTHON) scripts/environment.py runtime) && "$$python" scripts/serve.py

test:  ## lint, then the suite on every supported version and database (REQUIRE=all, ARGS="-k name")
	@$(PYTHON) scripts/test.py test $(ARGS)

services:  ## install and start the servers that the tests talk to
	@scripts/services.sh

lint:  ## format, style, types, layers, migrations, translations
	@$(PYTHON) scripts/test.py lint

messages:  ## collect the texts to translate, compile the translations
	@python=$$($(PYTHON) scripts/environment.py development) && "$$python" scripts/messages.py update compile

bench:  ## measure, beside peers (ARGS="…"), and the pages
	@python=$$($(PYTHON) scripts/environment.py development) && "$$python" benchmarks/run.py $(ARGS) \
		&& "$$python" benchmarks/pages.py

screenshots:  ## draw every page into docs/screenshots (ARGS="--only list")
	@python=$$($(PYTHON) scripts/environment.py development) && "$$python" scripts/screenshots.py $(ARGS)

clean:  ## remove what the targets above have made; the data of the mall stay
	rm -rf .venv-* .demo dist build .coverage .coverage.* htmlcov \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache
