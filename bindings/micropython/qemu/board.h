// Declarations for the files of the emulated board.

#ifndef USSL_QEMU_BOARD_H
#define USSL_QEMU_BOARD_H

#include <stdbool.h>

// Mounts the host's files as the root of the file system.
void ussl_board_mount_host(void);

// Reads random numbers from this file of the host; for tests.
void ussl_board_use_entropy(const char *file);

// Replaces the host's time by a time in seconds since 1970; for tests.
void ussl_board_set_clock(long long seconds);

// Starts Ethernet with an address: "dhcp", or an IPv4 address of a network of 256. Returns false if that fails.
bool ussl_board_network_start(const char *address);
// Receives frames, and runs lwIP's timers.
void ussl_board_network_poll(void);
// Waits until all data that lwIP has accepted is acknowledged, at most `milliseconds`.
void ussl_board_network_flush(unsigned milliseconds);

#endif
