# What the unix build carries as frozen Python: asyncio, and nothing from micropython-lib (a source
# tree without its submodules is enough; `ssl` and `tls` are ussl itself).
include("$(MPY_DIR)/extmod/asyncio")
