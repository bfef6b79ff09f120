# mpconfigvariant.h has the difference from the standard variant.
FROZEN_MANIFEST ?= $(VARIANT_DIR)/manifest.py
