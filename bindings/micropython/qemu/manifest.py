# What the firmware carries as frozen Python.
include("$(MPY_DIR)/extmod/asyncio")
