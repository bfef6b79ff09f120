# The frozen modules of networked boards: asyncio, and micropython-lib's ssl.py (bundle-networking requires it). If
# micropython-lib is not in the source tree, a substitute with the same name.
include("$(MPY_DIR)/extmod/asyncio")
try:
    require("ssl")
except Exception:
    module("ssl.py", base_path=".")
module("tls.py", base_path=".")
