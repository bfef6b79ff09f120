# What networked boards freeze: asyncio, and micropython-lib's ssl.py (bundle-networking requires it). Where
# micropython-lib is not in the source tree, a file of that name that is another module just as well.
include("$(MPY_DIR)/extmod/asyncio")
try:
    require("ssl")
except Exception:
    module("ssl.py", base_path=".")
module("tls.py", base_path=".")
