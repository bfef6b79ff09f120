// The parts of the emulated board, to each other.

#ifndef USSL_QEMU_BOARD_H
#define USSL_QEMU_BOARD_H

#include <stdbool.h>

// The host's files are the root of the file system.
void ussl_board_mount_host(void);

// Reads random numbers from this file of the host; for tests.
void ussl_board_use_entropy(const char *file);

// The time, in seconds since 1970, instead of the host's; for tests.
void ussl_board_set_clock(long long seconds);

// Starts Ethernet, and gives it an address: "dhcp", or an IPv4 address of a network of 256. False: there is no answer.
bool ussl_board_network_start(const char *address);
// Receives what has arrived, and does what lwIP has to do by now.
void ussl_board_network_poll(void);
// Waits until everything that lwIP has accepted is acknowledged.
void ussl_board_network_flush(unsigned milliseconds);

#endif
