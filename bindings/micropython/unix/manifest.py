# The frozen modules of the unix build: asyncio, and nothing from micropython-lib, so that a source
# tree without submodules is enough. ussl itself provides `ssl` and `tls`.
include("$(MPY_DIR)/extmod/asyncio")
