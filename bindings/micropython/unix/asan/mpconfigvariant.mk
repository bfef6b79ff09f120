# See exit.c.
LDFLAGS += -Wl,--wrap=mp_deinit
