// Mbed TLS's internal headers must be the first, because they give access to private members.
#include "ssl_misc.h"
#include <string.h>

#include <mbedtls/platform.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#include "internals.h"

const size_t ussl_mbedtls_largest_input = MBEDTLS_SSL_IN_BUFFER_LEN;

void ussl_mbedtls_offered_max_fragment_length(mbedtls_ssl_context *ssl) {
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    if (ssl->handshake != NULL) {
        mbedtls_ssl_tls13_set_hs_sent_ext_mask(ssl, MBEDTLS_TLS_EXT_MAX_FRAGMENT_LENGTH);
    }
    #else
    (void)ssl;
    #endif
}

void ussl_mbedtls_ignore_record_size_limit(mbedtls_ssl_context *ssl) {
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    if (ssl->handshake != NULL) {
        ssl->handshake->received_extensions &= ~MBEDTLS_SSL_EXT_MASK(RECORD_SIZE_LIMIT);
    }
    #else
    (void)ssl;
    #endif
}

// Needed because a client that negotiates TLS 1.2 may also have offered a key share for TLS 1.3.
static int is_ecdhe(const mbedtls_ssl_ciphersuite_t *suite) {
    switch (suite != NULL ? suite->key_exchange : MBEDTLS_KEY_EXCHANGE_NONE) {
        case MBEDTLS_KEY_EXCHANGE_ECDHE_ECDSA:
        case MBEDTLS_KEY_EXCHANGE_ECDHE_RSA:
        case MBEDTLS_KEY_EXCHANGE_ECDHE_PSK:
            return 1;
        default:
            return 0;
    }
}

int ussl_mbedtls_lacks_group(const mbedtls_ssl_context *ssl) {
    if (ssl->handshake == NULL || ssl->conf->endpoint != MBEDTLS_SSL_IS_SERVER) {
        return 0;
    }
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_SRV_C)
    if (ssl->state == MBEDTLS_SSL_HELLO_RETRY_REQUEST) {
        return ssl->handshake->hrr_selected_group == 0;
    }
    #endif
    #if defined(MBEDTLS_SSL_PROTO_TLS1_2) && defined(MBEDTLS_KEY_EXCHANGE_SOME_ECDH_OR_ECDHE_1_2_ENABLED)
    // Mbed TLS detects this only when it needs a group for its key share, and sends no alert.
    if (ssl->state == MBEDTLS_SSL_SERVER_HELLO && ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_2
        && ssl->handshake->resume == 0 && is_ecdhe(ssl->handshake->ciphersuite_info)) {
        const uint16_t *group = ssl->handshake->curves_tls_id;
        while (group != NULL && *group != 0 && mbedtls_ssl_check_curve_tls_id(ssl, *group) != 0) {
            ++group;
        }
        return group == NULL || *group == 0;
    }
    #endif
    return 0;
}

uint16_t ussl_mbedtls_group(const mbedtls_ssl_context *ssl) {
    const mbedtls_ssl_handshake_params *handshake = ssl->handshake;
    if (handshake == NULL) {
        return 0;
    }
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    if (ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3) {
        return handshake->offered_group_id;
    }
    #endif
    #if defined(MBEDTLS_SSL_PROTO_TLS1_2)
    if (handshake->resume != 0 || !is_ecdhe(handshake->ciphersuite_info)) {
        return 0;
    }
    #if defined(MBEDTLS_USE_PSA_CRYPTO)
    return mbedtls_ssl_get_tls_id_from_ecp_group_id(mbedtls_ecc_group_from_psa(
        PSA_KEY_TYPE_ECC_GET_FAMILY(handshake->xxdh_psa_type), handshake->xxdh_psa_bits));
    #elif defined(MBEDTLS_ECDH_LEGACY_CONTEXT)
    return mbedtls_ssl_get_tls_id_from_ecp_group_id(handshake->ecdh_ctx.grp.id);
    #elif defined(MBEDTLS_KEY_EXCHANGE_SOME_ECDH_OR_ECDHE_1_2_ENABLED)
    return mbedtls_ssl_get_tls_id_from_ecp_group_id(handshake->ecdh_ctx.grp_id);
    #endif
    #endif
    return 0;
}

// A bit of ticket_flags that Mbed TLS does not use, and copies to the negotiated session.
#define OF_AN_OLD_KEY 0x80

int ussl_mbedtls_parse_ticket(void *tickets, mbedtls_ssl_session *session, unsigned char *ticket, size_t size) {
    #if defined(MBEDTLS_SSL_TICKET_C)
    const mbedtls_ssl_ticket_context *context = tickets;
    const int ret = mbedtls_ssl_ticket_parse(tickets, session, ticket, size);
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    if (ret == 0 && session->tls_version == MBEDTLS_SSL_VERSION_TLS1_3) {
        const unsigned char *name = context->keys[context->active].name;
        session->ticket_flags &= (uint8_t)~OF_AN_OLD_KEY;
        if (memcmp(ticket, name, sizeof(context->keys[0].name)) != 0) {
            session->ticket_flags |= OF_AN_OLD_KEY;
        }
    }
    #else
    (void)context;
    #endif
    return ret;
    #else
    (void)tickets, (void)session, (void)ticket, (void)size;
    return MBEDTLS_ERR_SSL_FEATURE_UNAVAILABLE;
    #endif
}

void ussl_mbedtls_limit_tickets(mbedtls_ssl_context *ssl) {
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_SESSION_TICKETS)
    if (ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3 && ssl->handshake != NULL
        && ssl->session_negotiate != NULL && (ssl->session_negotiate->ticket_flags & OF_AN_OLD_KEY) != 0) {
        ssl->handshake->new_session_tickets_count = 0;
    }
    #else
    (void)ssl;
    #endif
}

int ussl_mbedtls_begin_message(mbedtls_ssl_context *ssl) {
    if (ssl->handshake == NULL) {
        ssl->handshake = mbedtls_calloc(1, sizeof(*ssl->handshake));
    }
    return ssl->handshake != NULL ? 0 : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

int ussl_mbedtls_resumes(const mbedtls_ssl_context *ssl) {
    const mbedtls_ssl_handshake_params *handshake = ssl->handshake;
    /* Before ServerHello, a client has only offered the session. */
    const int is_decided = ssl->state > MBEDTLS_SSL_SERVER_HELLO
                           || (ssl->state == MBEDTLS_SSL_SERVER_HELLO && ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER);
    if (handshake == NULL || !is_decided) {
        return 0;
    }
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3) && defined(MBEDTLS_SSL_TLS1_3_KEY_EXCHANGE_MODE_SOME_PSK_ENABLED)
    if (ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3) {
        return mbedtls_ssl_tls13_key_exchange_mode_with_psk((mbedtls_ssl_context *)ssl);
    }
    #endif
    return handshake->resume;
}

int ussl_mbedtls_skips_early_data(mbedtls_ssl_context *ssl, size_t size) {
    #if defined(MBEDTLS_SSL_PROTO_TLS1_3)
    static const unsigned char none[MBEDTLS_SSL_SEQUENCE_NUMBER_LEN] = { 0 };
    return ssl->handshake != NULL && ssl->conf->endpoint == MBEDTLS_SSL_IS_SERVER
           && ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3
           && (ssl->handshake->received_extensions & MBEDTLS_SSL_EXT_MASK(EARLY_DATA)) != 0
           && memcmp(ssl->in_ctr, none, sizeof none) == 0 && ussl_mbedtls_may_skip(ssl, size);
    #else
    (void)ssl, (void)size;
    return 0;
    #endif
}

int ussl_mbedtls_has_extended_master_secret(const mbedtls_ssl_context *ssl) {
    return ssl->handshake != NULL && ssl->handshake->extended_ms == MBEDTLS_SSL_EXTENDED_MS_ENABLED;
}

static mbedtls_ssl_key_cert no_certificate;

void ussl_mbedtls_choose_signature(mbedtls_ssl_context *ssl, const unsigned char *algorithms, size_t size) {
    const int prefers_sha384 = ssl->handshake->ciphersuite_info->mac == MBEDTLS_MD_SHA384;
    const unsigned char hashes[] = {
        prefers_sha384 ? MBEDTLS_SSL_HASH_SHA384 : MBEDTLS_SSL_HASH_SHA256,
        #if defined(MBEDTLS_MD_CAN_SHA256)
        MBEDTLS_SSL_HASH_SHA256,
        #endif
        #if defined(MBEDTLS_MD_CAN_SHA384)
        MBEDTLS_SSL_HASH_SHA384,
        #endif
    };
    mbedtls_pk_context *key = mbedtls_ssl_own_key(ssl);
    if (key == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof hashes; ++i) {
        const unsigned char algorithm[] = { hashes[i], mbedtls_ssl_sig_from_pk(key) };
        for (size_t at = 0; at + 2 <= size; at += 2) {
            if (memcmp(algorithms + at, algorithm, 2) == 0) {
                ssl->handshake->received_sig_algs[0] = MBEDTLS_GET_UINT16_BE(algorithm, 0);
                return;
            }
        }
    }
    ssl->handshake->key_cert = &no_certificate;
}

int ussl_mbedtls_withholds_certificate(const mbedtls_ssl_context *ssl) {
    return ssl->handshake != NULL && ssl->handshake->key_cert == &no_certificate;
}

void ussl_mbedtls_send_no_ticket(mbedtls_ssl_context *ssl) {
    if (ssl->handshake != NULL) {
        ssl->handshake->new_session_ticket = 0;
    }
}

void ussl_mbedtls_end_handshake(mbedtls_ssl_context *ssl) {
    if (ssl->handshake != NULL) {
        mbedtls_ssl_handshake_free(ssl);
        mbedtls_free(ssl->handshake);
        ssl->handshake = NULL;
    }
    #if defined(MBEDTLS_SSL_PROTO_TLS1_2)
    if (ssl->transform_negotiate != NULL) {
        mbedtls_ssl_transform_free(ssl->transform_negotiate);
        mbedtls_free(ssl->transform_negotiate);
        ssl->transform_negotiate = NULL;
    }
    #endif
}

static int accept_extension(void *context, const mbedtls_x509_crt *certificate, const mbedtls_x509_buf *oid,
                            int critical, const unsigned char *begin, const unsigned char *end) {
    (void)context, (void)certificate, (void)oid, (void)critical, (void)begin, (void)end;
    return 0;
}

int ussl_mbedtls_parse_certificate(mbedtls_x509_crt *chain, const unsigned char *der, size_t size) {
    #if defined(MBEDTLS_SSL_KEEP_PEER_CERTIFICATE)
    const int copy = 1;
    #else
    const int copy = 0;
    #endif
    const int ret = mbedtls_x509_crt_parse_der_with_ext_cb(chain, der, size, copy, accept_extension, NULL);
    if (ret != 0) {
        return ret == MBEDTLS_ERR_X509_ALLOC_FAILED ? ret : MBEDTLS_ERR_X509_INVALID_FORMAT;
    }
    while (chain->next != NULL) {
        chain = chain->next;
    }
    return chain->raw.len == size && ussl_mbedtls_is_readable(chain) ? 0 : MBEDTLS_ERR_X509_INVALID_FORMAT;
}

void ussl_mbedtls_sort_chain(mbedtls_x509_crt *chain) {
    mbedtls_x509_crt *last = chain;
    for (const mbedtls_x509_crt *of = chain; of != NULL; of = of != last ? of->next : NULL) {
        for (mbedtls_x509_crt **at = &last->next; *at != NULL;) {
            mbedtls_x509_crt *one = *at;
            if (one->subject_raw.len != of->issuer_raw.len
                || memcmp(one->subject_raw.p, of->issuer_raw.p, one->subject_raw.len) != 0) {
                at = &one->next;
                continue;
            }
            if (at != &last->next) {
                *at = one->next;
                one->next = last->next;
                last->next = one;
            } else {
                at = &one->next;
            }
            last = one;
        }
    }
}
