/* What a rogue peer does to Mbed TLS: the part that needs Mbed TLS's own headers, which are C. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mbedtls_ssl_context;

/* Called before Mbed TLS protects and sends a message (of the handshake, with its header, or a ChangeCipherSpec), of
   `size` bytes. It may change the message, up to `room` bytes; returns its size, 0: not sent. */
typedef size_t rogue_editor(void *peer, struct mbedtls_ssl_context *ssl, uint8_t record_type, uint8_t *message,
                            size_t size, size_t room);

/* From here on, for whatever connection is at work; NULL: nobody's. */
void rogue_edit(rogue_editor *editor, void *peer);

/* Sends a record of any type and size, protected with the keys of the moment, behind what Mbed TLS has written so far.
   A message of the handshake enters the transcript, as long as there is one. 0: it was sent. */
int rogue_send(struct mbedtls_ssl_context *ssl, uint8_t type, const uint8_t *bytes, size_t size);

/* The ticket of the session of this connection, a client. Returns its size, `room` at the most. */
size_t rogue_ticket(const struct mbedtls_ssl_context *ssl, uint8_t *into, size_t room);

/* The next client offers this ticket, as one of TLS 1.2 whose master secret is zeros and whose cipher suite is the first
   that it has. The ticket must stay where it is until then. */
void rogue_offer_ticket(const uint8_t *ticket, size_t size);

/* The last bytes of the server's random of this handshake, as the keys are made with them. */
void rogue_end_server_random(struct mbedtls_ssl_context *ssl, const uint8_t end[8]);

#ifdef __cplusplus
}
#endif
