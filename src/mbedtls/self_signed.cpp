#include <algorithm>
#include <cstring>

#include "mbedtls.hpp"

namespace ussl::mbedtls {

#if defined(MBEDTLS_X509_CRT_WRITE_C) && defined(MBEDTLS_PK_WRITE_C)

namespace {

using Writer =
    Holder<mbedtls_x509write_cert, mbedtls_x509write_crt_init, mbedtls_x509write_crt_free>;

/// The alternative names as a linked list for Mbed TLS.
struct AlternativeNames : OnHeap {
    bool fill(std::span<const std::string_view> texts) {
        for (std::size_t i = 0; i < texts.size(); ++i) {
            HostName& name = names[i];
            if (!name.parse(texts[i]))
                return false;
            const Bytes address = name.address();
            const auto* dns = reinterpret_cast<const unsigned char*>(name.dns().data());
            auto& node = list[i].node;
            node.type = name.is_address() ? MBEDTLS_X509_SAN_IP_ADDRESS : MBEDTLS_X509_SAN_DNS_NAME;
            // The const_cast is safe: Mbed TLS does not change the names.
            node.san.unstructured_name.p =
                const_cast<unsigned char*>(name.is_address() ? address.data() : dns);
            node.san.unstructured_name.len = name.is_address() ? address.size() : name.dns().size();
            // Mbed TLS writes the list from its end, so it is built in reverse order.
            list[i].next = i != 0 ? &list[i - 1] : nullptr;
        }
        return true;
    }

    HostName names[max_self_signed_names];
    mbedtls_x509_san_list list[max_self_signed_names] = {};
};

/// A time in the format of Mbed TLS, such as "20000101000000". Mbed TLS writes a UTCTime until 2049
/// (RFC 5280 §4.1.2.5).
struct TimeText {
    explicit TimeText(std::int64_t seconds) {
        const mbedtls_x509_time at = x509_time(seconds);
        char* end = text;
        const auto add = [&](int number, int digits) {
            for (int i = digits - 1; i >= 0; --i, number /= 10)
                end[i] = static_cast<char>('0' + number % 10);
            end += digits;
        };
        add(at.year, 4);
        for (const int part : {at.mon, at.day, at.hour, at.min, at.sec})
            add(part, 2);
    }
    char text[15] = {};
};

bool set_subject(mbedtls_x509write_cert& writer, std::string_view first) {
    constexpr std::string_view begin = "CN=";
    constexpr std::size_t longest_common_name = 64;  // RFC 5280, appendix A.1
    char subject[begin.size() + longest_common_name + 1] = {};
    std::memcpy(subject, begin.data(), begin.size());
    std::memcpy(subject + begin.size(), first.data(), std::min(first.size(), longest_common_name));
    return mbedtls_x509write_crt_set_subject_name(&writer, subject) == 0 &&
           mbedtls_x509write_crt_set_issuer_name(&writer, subject) == 0;
}

bool set_serial(mbedtls_x509write_cert& writer) {
    std::uint8_t serial[16];
    if (random_bytes(nullptr, serial, sizeof serial) != 0)
        return false;
    serial[0] = (serial[0] & 0x3F) | 0x40;  // positive, and of that length (RFC 5280 §4.1.2.2)
    return mbedtls_x509write_crt_set_serial_raw(&writer, serial, sizeof serial) == 0;
}

bool set_purpose(mbedtls_x509write_cert& writer) {
    mbedtls_asn1_sequence server = {};
    server.buf.tag = MBEDTLS_ASN1_OID;
    server.buf.p = reinterpret_cast<unsigned char*>(const_cast<char*>(MBEDTLS_OID_SERVER_AUTH));
    server.buf.len = MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH);
    return mbedtls_x509write_crt_set_basic_constraints(&writer, 0, -1) == 0 &&
           mbedtls_x509write_crt_set_key_usage(&writer, MBEDTLS_X509_KU_DIGITAL_SIGNATURE) == 0 &&
           mbedtls_x509write_crt_set_ext_key_usage(&writer, &server) == 0;
}

// Mbed TLS writes to the end of a buffer; `written` is its return value.
bool take_end(const SecretBytes& buffer, int written, SecretBytes& into) {
    if (written <= 0)
        return false;
    const auto size = static_cast<std::size_t>(written);
    into = SecretBytes(size);
    if (into.empty())
        return lacks_memory();
    std::memcpy(into.data(), buffer.data() + buffer.size() - size, size);
    return true;
}

bool make(const SelfSignedFor& what, SelfSigned& made) {
    const TimeText since(what.since);
    const TimeText until(what.until);
    const Owned<AlternativeNames> names{new AlternativeNames};
    Key key;
    Writer writer;
    if (!names)
        return lacks_memory();
    if (!names->fill(what.names) ||
        mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)) != 0 ||
        mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), random_bytes, nullptr) !=
            0)
        return false;
    mbedtls_x509write_crt_set_version(&writer, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&writer, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&writer, &key);
    mbedtls_x509write_crt_set_issuer_key(&writer, &key);
    std::size_t size = 512;  // everything except the names
    for (const std::string_view name : what.names)
        size += name.size() + 16;
    const SecretBytes buffer(size);
    if (buffer.empty())
        return lacks_memory();
    return set_serial(writer) && set_subject(writer, what.names[0]) &&
           mbedtls_x509write_crt_set_validity(&writer, since.text, until.text) == 0 &&
           set_purpose(writer) &&
           mbedtls_x509write_crt_set_subject_alternative_name(
               &writer, &names->list[what.names.size() - 1]) == 0 &&
           take_end(buffer, mbedtls_pk_write_key_der(&key, buffer.data(), buffer.size()),
                    made.key) &&
           take_end(buffer,
                    mbedtls_x509write_crt_der(&writer, buffer.data(), buffer.size(), random_bytes,
                                              nullptr),
                    made.certificate);
}

}  // namespace

std::optional<ConfigError> make_self_signed(const SelfSignedFor& what, SelfSigned& made) {
    take_lack_of_memory();
    if (!start_up())
        return ConfigError{"the TLS engine could not be set up"};
    if (make(what, made))
        return std::nullopt;
    if (take_lack_of_memory())
        return ConfigError{"out of memory", true};
    return ConfigError{"the certificate could not be made"};
}

#else

std::optional<ConfigError> make_self_signed(const SelfSignedFor&, SelfSigned&) {
    return ConfigError{"this build's TLS library cannot make certificates"};
}

#endif

}  // namespace ussl::mbedtls
