# The packages: included from the Makefile.

PACKAGES := $(PYTHON) packaging/packages/build.py
PACKAGE_MACHINES ?= x86_64 aarch64
PACKAGE_FLAGS = $(addprefix --machine ,$(PACKAGE_MACHINES))

.PHONY: packages
packages: venv
	@packaging/dev-deps.sh rpm
	@$(PACKAGES) $(PACKAGE_FLAGS)

.PHONY: deb
deb: venv
	@$(PACKAGES) --only deb $(PACKAGE_FLAGS)

.PHONY: package-lint
package-lint: packages
	@echo '== lintian and rpmlint'
	@packaging/dev-deps.sh lintian rpmlint
	@packaging/lint-packages.sh dist

.PHONY: release-check
release-check: venv
	@$(PYTHON) packaging/packages/release_check.py
