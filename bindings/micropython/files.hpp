#pragma once

// Keys and certificates that a program passes as a path or as their content.

#include "binding.hpp"

/// An argument with a key or certificates: its name, for error messages, and its content.
struct ussl_source_t {
    qstr argument;
    mp_obj_t given;    ///< as the program passed it
    mp_obj_t content;  ///< str or bytes-like, or None
    bool from_file;    ///< `content` was read from the file `given`; the binding wipes it
    bool is_store;     ///< `content` is a root store, which stays as it is while a context uses it
};
struct ussl_sources_t {
    ussl_source_t key, certificate, trusted;
};

/// Fills in the content of a key or certificates. If `given` is a str without "-----BEGIN", it is
/// the name of a file, unless `is_content` is true.
void ussl_load(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content);
/// The same for trust anchors, which may also be a root store. One in flash (romfs) is not copied.
void ussl_load_trusted(ussl_source_t* source, qstr argument, mp_obj_t given, bool is_content);
/// Wipes content that was read from a file.
void ussl_source_wipe(const ussl_source_t* source);
