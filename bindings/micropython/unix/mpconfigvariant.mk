# What is different from the standard variant stands in mpconfigvariant.h.
FROZEN_MANIFEST ?= $(VARIANT_DIR)/manifest.py
