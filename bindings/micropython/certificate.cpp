// Certificates: getpeercert() and cert_info() as a dictionary, in CPython's form; self_signed().

#include <string.h>

#include "arguments.hpp"
#include "binding.hpp"
#include "errors.hpp"
#include "files.hpp"
#include "ussl/certificate.hpp"
#include "ussl/connection.hpp"
#include "ussl/crypto.hpp"

namespace {

/// Builds the dictionary while the engine walks through the certificate. Each part is built under
/// nlr_push, because an exception must not unwind the engine's stack frames.
class DictBuilder final : public ussl::CertificateVisitor {
  public:
    /// `with_hashes`: adds the hashes for `pins`.
    explicit DictBuilder(mp_obj_t dict, bool with_hashes = false)
        : dict_(dict), with_hashes_(with_hashes) {}

    void identity(int version, const Serial& serial) noexcept override {
        guard([&] {
            store(MP_QSTR_version, MP_OBJ_NEW_SMALL_INT(version));
            vstr_t hex;
            vstr_init(&hex, 1 + 2 * serial.magnitude.size());
            if (serial.negative)
                vstr_add_char(&hex, '-');
            for (const uint8_t byte : serial.magnitude)
                vstr_printf(&hex, "%02X", byte);
            store(MP_QSTR_serialNumber, mp_obj_new_str_from_vstr(&hex));
        });
    }

    void attribute(Party party, bool starts_rdn, std::string_view name,
                   std::string_view value) noexcept override {
        guard([&] {
            const mp_obj_t pair = text_pair(name, value);
            mp_obj_t* rdns = party == Party::subject ? &subject_ : &issuer_;
            const mp_obj_t rdn = mp_obj_new_tuple(1, &pair);
            if (starts_rdn) {
                *rdns = joined(*rdns, rdn);
            } else {
                // One more pair in the last RDN.
                size_t count;
                mp_obj_t* items;
                mp_obj_get_array(*rdns, &count, &items);
                items[count - 1] = joined_pairs(items[count - 1], rdn);
            }
        });
    }

    void validity(const Time& not_before, const Time& not_after) noexcept override {
        guard([&] {
            store(MP_QSTR_notBefore, date(not_before));
            store(MP_QSTR_notAfter, date(not_after));
        });
    }

    void alternative_name(AltName kind, ussl::Bytes value) noexcept override {
        guard([&] {
            const mp_obj_t pair = kind == AltName::ip ? text_pair("IP Address", address(value))
                                                      : text_pair(kind_name(kind), text(value));
            alternatives_ = joined(alternatives_, pair);
        });
    }

    void encoded(ussl::Bytes certificate, ussl::Bytes public_key) noexcept override {
        if (with_hashes_)
            guard([&] {
                store(MP_QSTR_sha256, sha256(certificate));
                store(MP_QSTR_public_key_sha256, sha256(public_key));
            });
    }

    /// Called after the walk; raises the exception of a part.
    void finish() {
        if (exception_ != MP_OBJ_NULL)
            nlr_raise(exception_);
        store(MP_QSTR_subject, subject_);
        store(MP_QSTR_issuer, issuer_);
        if (alternatives_ != mp_const_empty_tuple)
            store(MP_QSTR_subjectAltName, alternatives_);
    }

  private:
    template <class Part>
    void guard(Part part) {
        guard([](void* captured) { (*static_cast<Part*>(captured))(); }, &part);
    }
    void guard(void (*part)(void*), void* captured) {
        nlr_buf_t nlr;
        if (exception_ != MP_OBJ_NULL)
            return;
        if (nlr_push(&nlr) == 0) {
            part(captured);
            nlr_pop();
        } else {
            exception_ = MP_OBJ_FROM_PTR(nlr.ret_val);
        }
    }

    static mp_obj_t sha256(ussl::Bytes part) {
        uint8_t hash[32];
        if (!ussl::sha256(ussl::default_engine(), {&part, 1}, hash))
            mp_raise_OSError(MP_ENOMEM);
        return mp_obj_new_bytes(hash, sizeof hash);
    }

    void store(qstr key, mp_obj_t value) { mp_obj_dict_store(dict_, MP_OBJ_NEW_QSTR(key), value); }

    static std::string_view text(ussl::Bytes bytes) {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }

    // A str must be UTF-8.
    static mp_obj_t str(std::string_view value) {
        if (!micropython::is_utf8(reinterpret_cast<const byte*>(value.data()), value.size()))
            return mp_obj_new_bytes(reinterpret_cast<const byte*>(value.data()), value.size());
        return mp_obj_new_str(value.data(), value.size());
    }

    static mp_obj_t text_pair(std::string_view key, std::string_view value) {
        const mp_obj_t items[2] = {mp_obj_new_str(key.data(), key.size()), str(value)};
        return mp_obj_new_tuple(2, items);
    }
    static mp_obj_t text_pair(std::string_view key, mp_obj_t value) {
        const mp_obj_t items[2] = {mp_obj_new_str(key.data(), key.size()), value};
        return mp_obj_new_tuple(2, items);
    }

    static mp_obj_t joined_pairs(mp_obj_t first, mp_obj_t second) {
        return mp_binary_op(MP_BINARY_OP_ADD, first, second);
    }
    static mp_obj_t joined(mp_obj_t tuple, mp_obj_t item) {
        return joined_pairs(tuple, mp_obj_new_tuple(1, &item));
    }

    static std::string_view kind_name(AltName kind) {
        switch (kind) {
            case AltName::dns:
                return "DNS";
            case AltName::email:
                return "email";
            case AltName::uri:
                return "URI";
            case AltName::ip:
                break;
        }
        return "IP Address";
    }

    static mp_obj_t address(ussl::Bytes bytes) {
        vstr_t out;
        vstr_init(&out, 40);
        if (bytes.size() == 4) {
            vstr_printf(&out, "%d.%d.%d.%d", bytes[0], bytes[1], bytes[2], bytes[3]);
        } else {
            for (size_t i = 0; i + 1 < bytes.size(); i += 2)
                vstr_printf(&out, i != 0 ? ":%X" : "%X", bytes[i] << 8 | bytes[i + 1]);
        }
        return mp_obj_new_str_from_vstr(&out);
    }

    // "Jan  5 09:34:43 2018 GMT"
    static mp_obj_t date(const Time& time) {
        static constexpr char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        const int month = time.month >= 1 && time.month <= 12 ? time.month - 1 : 0;
        vstr_t out;
        vstr_init(&out, 25);
        vstr_add_strn(&out, months + 3 * month, 3);
        vstr_printf(&out, " %2d %02d:%02d:%02d %d GMT", time.day, time.hour, time.minute,
                    time.second, time.year);
        return mp_obj_new_str_from_vstr(&out);
    }

    mp_obj_t dict_;
    bool with_hashes_;
    mp_obj_t subject_ = mp_const_empty_tuple;
    mp_obj_t issuer_ = mp_const_empty_tuple;
    mp_obj_t alternatives_ = mp_const_empty_tuple;
    mp_obj_t exception_ = MP_OBJ_NULL;
};

}  // namespace

mp_obj_t ussl_certificate_dict(ussl::Connection* connection) {
    const mp_obj_t dict = mp_obj_new_dict(6);
    DictBuilder builder(dict);
    const bool described = connection->describe_peer(builder);
    builder.finish();
    // The caller has checked that there is a certificate.
    if (!described)
        mp_raise_type(&mp_type_MemoryError);
    return dict;
}

extern "C" mp_obj_t ussl_cert_info(mp_obj_t data) {
    ussl_source_t source;
    ussl_load(&source, MP_QSTR_data, data, false);
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(source.content, &bytes, MP_BUFFER_READ);
    const mp_obj_t dict = mp_obj_new_dict(8);
    DictBuilder builder(dict, true);
    const bool described = ussl::describe_certificate(
        ussl::default_engine(), {static_cast<const uint8_t*>(bytes.buf), bytes.len}, builder);
    builder.finish();
    if (!described)
        mp_raise_ValueError(MP_ERROR_TEXT("invalid cert"));
    return dict;
}

namespace {

// Copies of the key and certificate. The interpreter may raise while it creates objects of them;
// the key is wiped before the exception is raised again.
struct Copies {
    ussl::Bytes key, certificate;
    mp_obj_t pair[2];
};

void copy_out(void* data) {
    auto& copies = *static_cast<Copies*>(data);
    copies.pair[0] = mp_obj_new_bytes(copies.key.data(), copies.key.size());
    copies.pair[1] = mp_obj_new_bytes(copies.certificate.data(), copies.certificate.size());
}

__attribute__((noinline)) mp_obj_t guarded(void (*call)(void*), void* data) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0)
        return MP_OBJ_FROM_PTR(nlr.ret_val);
    call(data);
    nlr_pop();
    return MP_OBJ_NULL;
}

// Fills in `copies`. Returns the error, or nullptr.
const char* make_self_signed(const ussl::SelfSignedFor& what, Copies& copies, bool& out_of_memory,
                             mp_obj_t& exception) {
    const auto made = ussl::make_self_signed(ussl::default_engine(), what);
    if (!made) {
        out_of_memory = made.error().out_of_memory;
        return made.error().reason;
    }
    copies.key = {made->key.data(), made->key.size()};
    copies.certificate = {made->certificate.data(), made->certificate.size()};
    exception = guarded(copy_out, &copies);
    return nullptr;
}

}  // namespace

extern "C" mp_obj_t ussl_self_signed(size_t n_args, const mp_obj_t* args, mp_map_t* kw_args) {
    enum { ARG_names, ARG_valid_from, ARG_valid_until, ARG_count };
    static const mp_arg_t allowed[] = {
        {MP_QSTR_names, MP_ARG_OBJ | MP_ARG_REQUIRED, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_valid_from, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
        {MP_QSTR_valid_until, MP_ARG_KW_ONLY | MP_ARG_OBJ, {.u_rom_obj = MP_ROM_NONE}},
    };
    mp_arg_val_t values[ARG_count];
    mp_arg_parse_all(n_args, args, kw_args, ARG_count, allowed, values);

    mp_obj_t one = values[ARG_names].u_obj;
    size_t count = 1;
    mp_obj_t* given = &one;
    if (!mp_obj_is_str(one))
        mp_obj_get_array(one, &count, &given);
    std::string_view names[ussl::max_self_signed_names + 1];
    for (size_t i = 0; i < count && i < std::size(names); ++i) {
        size_t size;
        const char* name = mp_obj_str_get_data(given[i], &size);
        names[i] = {name, size};
    }
    ussl::SelfSignedFor what{{names, count < std::size(names) ? count : std::size(names)}};
    if (values[ARG_valid_from].u_obj != mp_const_none)
        what.since = ussl_seconds(values[ARG_valid_from].u_obj, MP_QSTR_valid_from);
    if (values[ARG_valid_until].u_obj != mp_const_none)
        what.until = ussl_seconds(values[ARG_valid_until].u_obj, MP_QSTR_valid_until);

    Copies copies{};
    bool out_of_memory = false;
    mp_obj_t exception = MP_OBJ_NULL;
    if (const char* reason = make_self_signed(what, copies, out_of_memory, exception))
        ussl_raise_refusal(nullptr, reason, out_of_memory);
    if (exception != MP_OBJ_NULL)
        nlr_raise(exception);
    return mp_obj_new_tuple(2, copies.pair);
}
