# Simulates a board's module on the unix port: RTC memory, kept in a file.

FILE = "rtc-memory.bin"


class RTC:
    def memory(self, data=None):
        if data is not None:
            if len(data) > 2048:
                raise ValueError("buffer too long")
            with open(FILE, "wb") as f:
                f.write(data)
            return
        try:
            with open(FILE, "rb") as f:
                return f.read()
        except OSError:
            return b""
