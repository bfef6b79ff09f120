#pragma once

// Declarations for the files of SSLContext: context.cpp has its methods, context_attributes.cpp its
// attributes, and shared_contexts.cpp creates and shares its ussl::Context.

#include "binding.hpp"
#include "files.hpp"
#include "ussl/context.hpp"

/// The newer names of arguments of wrap_socket() that a program used, as bits.
inline constexpr uint8_t ussl_called_key = 1;
inline constexpr uint8_t ussl_called_cert = 2;
inline constexpr uint8_t ussl_called_cadata = 4;

/// The options of a program, and, after the first use, the ussl::Context. A member without a
/// comment is an object as the program passed it, or None.
struct ussl_context_obj_t {
    mp_obj_base_t base;
    mp_obj_t key = mp_const_none;           ///< bytes, or None
    mp_obj_t key_password = mp_const_none;  ///< bytes-like, or None
    mp_obj_t certificate = mp_const_none;   ///< bytes, or None
    mp_obj_t trusted = mp_const_none;       ///< bytes, or None
    mp_obj_t root_stores = mp_const_none;   ///< tuple of bytes or memoryviews, or None
    mp_obj_t psk_identity = mp_const_none;
    mp_obj_t psk_key = mp_const_none;
    mp_obj_t psk_keys = mp_const_none;
    mp_obj_t psk_hint = mp_const_none;
    mp_obj_t psk_client_callback = mp_const_none;
    mp_obj_t psk_server_callback = mp_const_none;
    mp_obj_t verify_callback = mp_const_none;
    mp_obj_t sign_callback = mp_const_none;
    mp_obj_t ecdsa_sign_callback = mp_const_none;
    mp_obj_t verify_time = mp_const_none;
    mp_obj_t pins = mp_const_none;    ///< bytes, one hash after the other, or None
    mp_obj_t suites = mp_const_none;  ///< bytes: numbers of 16 bits; or None
    mp_obj_t groups = mp_const_none;  ///< bytes, as suites; or None
    mp_obj_t alpn = mp_const_none;    ///< bytes, as Options::alpn, or None
    mp_obj_t handshake_timeout = mp_const_none;
    mp_obj_t linger = MP_OBJ_NEW_SMALL_INT(10);
    mp_obj_t keylog_filename = mp_const_none;
    mp_obj_t sni_callback = mp_const_none;
    uint8_t server = 0;
    uint8_t verify_mode = 0;
    int8_t verify_flags = -1;  ///< below 0: not set
    /// The arguments of wrap_socket(): certificates and pre-shared keys exclude each other.
    uint8_t strict = 0;
    uint8_t aliases = 0;  ///< ussl_called_…: the newer names of arguments that the program used
    uint8_t share = 0;    ///< may share the ussl::Context of another SSLContext with equal options
    uint8_t is_shared = 0;
    uint8_t keeps = 0;  ///< the shared ussl::Context is kept when this SSLContext is collected
    uint8_t check_hostname = 1;
    uint8_t system_store = 0;
    uint8_t resumption = 1;
    uint8_t tickets = 1;
    uint8_t gather_writes = 0;
    uint16_t minimum_version = static_cast<uint16_t>(ussl::Version::tls1_2);
    uint16_t maximum_version = static_cast<uint16_t>(ussl::Version::tls1_3);
    uint16_t record_size_limit = 0;                              ///< 0: none
    uint32_t session_lifetime = ussl::default_session_lifetime;  ///< seconds
    uint32_t generation = 0;                                     ///< number of changes
    ussl::Context* made = nullptr;  ///< counted; several threads may create it at once
    /// In place of `key`: read from a file, converted to DER if possible; wiped when released.
    unsigned char* own_key = nullptr;
    size_t own_key_size = 0;
};

/// Creates a context with default options.
ussl_context_obj_t* ussl_context_new(bool server);
/// Returns the ussl::Context of an SSLContext, which the first call creates. The caller drops its
/// reference. Raises ValueError that names the sources (which may be null).
ussl::Context* ussl_context_get(ussl_context_obj_t* self, const ussl_sources_t* sources);
/// Raises the errors of ussl_context_get(); `sources` may be null.
void ussl_context_check(ussl_context_obj_t* self, const ussl_sources_t* sources);
/// Releases shared contexts that no SSLContext uses.
void ussl_context_trim();
/// Returns the options for the library. They point into the context's objects.
ussl::Options ussl_options_of(const ussl_context_obj_t* self);
/// Adds a root store; raises ValueError that names the argument if there are too many.
void ussl_context_add_store(ussl_context_obj_t* self, const ussl_source_t* source);
/// The root store in the firmware, if there is one.
std::optional<ussl::Bytes> ussl_firmware_roots();
/// Drops the ussl::Context, because options have changed: the next connection gets a new one.
void ussl_context_changed(ussl_context_obj_t* self);
/// Sets the attribute `groups` to a list or tuple of names, a str with ":" between them, or None.
void ussl_context_set_groups(ussl_context_obj_t* self, mp_obj_t groups);
/// Returns the items of a list or tuple; other types raise TypeError with the text.
void ussl_list(mp_obj_t list, size_t* count, mp_obj_t** items, const char* otherwise);
