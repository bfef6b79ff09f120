# See exit.c and heap.c.
LDFLAGS += -Wl,--wrap=mp_deinit -Wl,--wrap=gc_alloc -Wl,--wrap=gc_realloc
