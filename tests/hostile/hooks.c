#include "hooks.h"

#include <stdlib.h>
#include <string.h>

#include "ssl_misc.h"

#include <mbedtls/platform.h>

static rogue_editor *the_editor = NULL;
static void *the_peer = NULL;

void rogue_edit(rogue_editor *editor, void *peer) {
    the_editor = editor;
    the_peer = peer;
}

enum { header = 5, message_header = 4, behind = 128, most = 8000 };

/* Mbed TLS fills in the length of a message last. */
static void fill_in_length(mbedtls_ssl_context *ssl, size_t body) {
    ssl->out_msg[1] = MBEDTLS_BYTE_2(body);
    ssl->out_msg[2] = MBEDTLS_BYTE_1(body);
    ssl->out_msg[3] = MBEDTLS_BYTE_0(body);
}

/* The message that Mbed TLS has made, edited. */
static size_t edited(mbedtls_ssl_context *ssl, size_t size) {
    uint8_t message[most];
    if (size > sizeof message) {
        return size;
    }
    memcpy(message, ssl->out_msg, size);
    size = the_editor(the_peer, ssl, (uint8_t)ssl->out_msgtype, message, size, sizeof message);
    /* The place may be another one now: what stood before it may have left. */
    const size_t room = ssl->out_buf_len - (size_t)(ssl->out_msg - ssl->out_buf) - behind;
    if (size > room) {
        size = room;
    }
    memcpy(ssl->out_msg, message, size);
    return size;
}

/* TLS 1.2, which adds to the transcript behind this. The names are the linker's (--wrap). */
int __real_mbedtls_ssl_write_handshake_msg_ext(mbedtls_ssl_context *ssl, int update_checksum, int force_flush);
int __wrap_mbedtls_ssl_write_handshake_msg_ext(mbedtls_ssl_context *ssl, int update_checksum, int force_flush);
int __wrap_mbedtls_ssl_write_handshake_msg_ext(mbedtls_ssl_context *ssl, int update_checksum, int force_flush) {
    if (the_editor != NULL) {
        if (ssl->out_msgtype == MBEDTLS_SSL_MSG_HANDSHAKE) {
            fill_in_length(ssl, ssl->out_msglen - message_header);
        }
        ssl->out_msglen = edited(ssl, ssl->out_msglen);
        if (ssl->out_msglen == 0) {
            return 0;
        }
    }
    return __real_mbedtls_ssl_write_handshake_msg_ext(ssl, update_checksum, force_flush);
}

/* TLS 1.3 adds to the transcript before it sends: what is added is what is sent instead, in
   mbedtls_ssl_finish_handshake_msg(). */
int __real_mbedtls_ssl_add_hs_msg_to_checksum(mbedtls_ssl_context *ssl, unsigned type, const unsigned char *message,
                                              size_t size);
int __wrap_mbedtls_ssl_add_hs_msg_to_checksum(mbedtls_ssl_context *ssl, unsigned type, const unsigned char *message,
                                              size_t size);
int __wrap_mbedtls_ssl_add_hs_msg_to_checksum(mbedtls_ssl_context *ssl, unsigned type, const unsigned char *message,
                                              size_t size) {
    const int is_ours = message >= ssl->out_buf && message < ssl->out_buf + ssl->out_buf_len;
    return the_editor != NULL && is_ours ? 0 : __real_mbedtls_ssl_add_hs_msg_to_checksum(ssl, type, message, size);
}

/* Mbed TLS adds a ClientHello in pieces, and before it sends it. Left aside until then; but a binder of a pre-shared
   key needs the pieces (RFC 8446 §4.2.11.2), so that one stays in the transcript as Mbed TLS has made it. */
static int (*the_update_checksum)(mbedtls_ssl_context *, const unsigned char *, size_t) = NULL;

static int add_nothing(mbedtls_ssl_context *ssl, const unsigned char *piece, size_t size) {
    (void)ssl, (void)piece, (void)size;
    return 0;
}

int __real_mbedtls_ssl_add_hs_hdr_to_checksum(mbedtls_ssl_context *ssl, unsigned type, size_t size);
int __wrap_mbedtls_ssl_add_hs_hdr_to_checksum(mbedtls_ssl_context *ssl, unsigned type, size_t size);
int __wrap_mbedtls_ssl_add_hs_hdr_to_checksum(mbedtls_ssl_context *ssl, unsigned type, size_t size) {
    if (the_editor == NULL || type != MBEDTLS_SSL_HS_CLIENT_HELLO || ssl->conf->endpoint != MBEDTLS_SSL_IS_CLIENT
        || ssl->conf->psk != NULL
        || ssl->handshake->resume != 0) {
        return __real_mbedtls_ssl_add_hs_hdr_to_checksum(ssl, type, size);
    }
    the_update_checksum = ssl->handshake->update_checksum;
    ssl->handshake->update_checksum = add_nothing;
    return 0;
}

int __real_mbedtls_ssl_finish_handshake_msg(mbedtls_ssl_context *ssl, size_t room, size_t size);
int __wrap_mbedtls_ssl_finish_handshake_msg(mbedtls_ssl_context *ssl, size_t room, size_t size);
int __wrap_mbedtls_ssl_finish_handshake_msg(mbedtls_ssl_context *ssl, size_t room, size_t size) {
    if (the_editor != NULL) {
        const uint8_t type = ssl->out_msg[0];
        fill_in_length(ssl, size);
        const size_t after = edited(ssl, size + message_header);
        const int left_aside = the_update_checksum != NULL;
        if (left_aside) {
            ssl->handshake->update_checksum = the_update_checksum;
            the_update_checksum = NULL;
        }
        /* A ticket is of no handshake. */
        const int is_added = type == MBEDTLS_SSL_HS_CLIENT_HELLO ? left_aside : type != MBEDTLS_SSL_HS_NEW_SESSION_TICKET;
        if (after != 0 && is_added) {
            const int ret = ssl->handshake->update_checksum(ssl, ssl->out_msg, after);
            if (ret != 0) {
                return ret;
            }
        }
        if (after < message_header) {
            ssl->out_msglen = 0;
            return 0;
        }
        size = after - message_header;
    }
    return __real_mbedtls_ssl_finish_handshake_msg(ssl, room, size);
}

/* TLS 1.2, too. */
int __real_mbedtls_ssl_write_change_cipher_spec(mbedtls_ssl_context *ssl);
int __wrap_mbedtls_ssl_write_change_cipher_spec(mbedtls_ssl_context *ssl);
int __wrap_mbedtls_ssl_write_change_cipher_spec(mbedtls_ssl_context *ssl) {
    uint8_t message = 1;
    if (the_editor != NULL
        && the_editor(the_peer, ssl, MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC, &message, 1, 1) == 0) {
        ++ssl->state;
        return 0;
    }
    return __real_mbedtls_ssl_write_change_cipher_spec(ssl);
}

int rogue_send(mbedtls_ssl_context *ssl, uint8_t type, const uint8_t *bytes, size_t size) {
    enum { before = 64 };
    int ret = mbedtls_ssl_flush_output(ssl);
    if (ret != 0) {
        return ret;
    }
    if (type == MBEDTLS_SSL_MSG_HANDSHAKE && size >= message_header && bytes[0] != MBEDTLS_SSL_HS_HELLO_REQUEST
        && ssl->handshake != NULL
        && ssl->handshake->update_checksum != NULL && ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER
        && (ret = ssl->handshake->update_checksum(ssl, bytes, size)) != 0) {
        return ret;
    }
    const size_t room = before + size + behind;
    uint8_t *buffer = calloc(1, room);
    if (buffer == NULL) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    mbedtls_record record = {0};
    record.buf = buffer;
    record.buf_len = room;
    record.data_offset = before;
    record.data_len = size;
    record.type = type;
    if (size != 0) {
        memcpy(buffer + before, bytes, size);
    }
    memcpy(record.ctr, ssl->cur_out_ctr, sizeof record.ctr);
    record.ver[0] = 3;
    record.ver[1] = 3;
    if (ssl->transform_out != NULL
        && (ret = mbedtls_ssl_encrypt_buf(ssl, ssl->transform_out, &record, ssl->conf->f_rng, ssl->conf->p_rng)) != 0) {
        free(buffer);
        return ret;
    }
    for (size_t i = sizeof ssl->cur_out_ctr; i-- > 0 && ++ssl->cur_out_ctr[i] == 0;) {
    }
    uint8_t *out = buffer + record.data_offset - header;
    out[0] = record.type;
    out[1] = record.ver[0];
    out[2] = record.ver[1];
    out[3] = MBEDTLS_BYTE_1(record.data_len);
    out[4] = MBEDTLS_BYTE_0(record.data_len);
    for (size_t at = 0; at < record.data_len + header;) {
        ret = ssl->f_send(ssl->p_bio, out + at, record.data_len + header - at);
        if (ret <= 0) {
            break;
        }
        at += (size_t)ret;
    }
    free(buffer);
    return ret > 0 ? 0 : ret;
}

void rogue_end_server_random(mbedtls_ssl_context *ssl, const uint8_t end[8]) {
    memcpy(ssl->handshake->randbytes + 56, end, 8);
}

size_t rogue_ticket(const mbedtls_ssl_context *ssl, uint8_t *into, size_t room) {
    const mbedtls_ssl_session *session = ssl->session;
    if (session == NULL || session->ticket == NULL || session->ticket_len > room) {
        return 0;
    }
    memcpy(into, session->ticket, session->ticket_len);
    return session->ticket_len;
}

static const uint8_t *the_ticket = NULL;
static size_t the_ticket_size = 0;

void rogue_offer_ticket(const uint8_t *ticket, size_t size) {
    the_ticket = ticket;
    the_ticket_size = size;
}

int __real_mbedtls_ssl_write_client_hello(mbedtls_ssl_context *ssl);
int __wrap_mbedtls_ssl_write_client_hello(mbedtls_ssl_context *ssl);
int __wrap_mbedtls_ssl_write_client_hello(mbedtls_ssl_context *ssl) {
    mbedtls_ssl_session *session = ssl->session_negotiate;
    if (the_ticket != NULL) {
        session->ticket = mbedtls_calloc(1, the_ticket_size);
        if (session->ticket == NULL) {
            return MBEDTLS_ERR_SSL_ALLOC_FAILED;
        }
        memcpy(session->ticket, the_ticket, the_ticket_size);
        session->ticket_len = the_ticket_size;
        session->ciphersuite = ssl->conf->ciphersuite_list[0];
        ssl->handshake->resume = 1;
        the_ticket = NULL;
    }
    return __real_mbedtls_ssl_write_client_hello(ssl);
}

/* A server of TLS 1.2 verifies a client's signature with any hash. */
void __real_mbedtls_ssl_optimize_checksum(mbedtls_ssl_context *ssl, const mbedtls_ssl_ciphersuite_t *suite);
void __wrap_mbedtls_ssl_optimize_checksum(mbedtls_ssl_context *ssl, const mbedtls_ssl_ciphersuite_t *suite);
void __wrap_mbedtls_ssl_optimize_checksum(mbedtls_ssl_context *ssl, const mbedtls_ssl_ciphersuite_t *suite) {
    if (the_editor == NULL || ssl->tls_version != MBEDTLS_SSL_VERSION_TLS1_2
        || ssl->conf->endpoint != MBEDTLS_SSL_IS_SERVER) {
        __real_mbedtls_ssl_optimize_checksum(ssl, suite);
    }
}
