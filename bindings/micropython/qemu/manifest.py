# The frozen modules of the firmware.
include("$(MPY_DIR)/extmod/asyncio")
