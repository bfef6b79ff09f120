// Detects the algorithms of keys and certificates.

#include "../pem.hpp"

namespace ussl::pem {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view rsa = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01";
constexpr std::string_view rsa_pss = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x0A";
constexpr std::string_view ec = "\x2A\x86\x48\xCE\x3D\x02\x01";
constexpr std::string_view ed25519 = "\x2B\x65\x70";
constexpr std::string_view ed448 = "\x2B\x65\x71";

// Knows the curves of TLS (RFC 8422 §5.1.1), and curves that ussl can reject as too weak.
Algorithm algorithm_of_curve(Bytes curve) {
    for (const std::string_view known :
         {"\x2A\x86\x48\xCE\x3D\x03\x01\x01"sv, "\x2A\x86\x48\xCE\x3D\x03\x01\x07"sv,
          "\x2B\x81\x04\x00\x21"sv, "\x2B\x81\x04\x00\x22"sv, "\x2B\x81\x04\x00\x23"sv})
        if (is(curve, known))
            return Algorithm::common;
    return Algorithm::unsupported;
}

// `identifier` is the content of an AlgorithmIdentifier (RFC 5280 §4.1.1.2).
Algorithm algorithm_of(Bytes identifier) {
    Der der(identifier);
    const auto oid = der.take(Der::oid);
    if (!oid)
        return Algorithm::malformed;
    if (is(*oid, rsa))
        return Algorithm::common;
    if (is(*oid, ec)) {
        const auto curve = der.take(Der::oid);
        return curve ? algorithm_of_curve(*curve) : Algorithm::unsupported;
    }
    return is(*oid, rsa_pss) || is(*oid, ed25519) || is(*oid, ed448) ? Algorithm::rare
                                                                     : Algorithm::unsupported;
}

}  // namespace

Algorithm algorithm_of_certificate(Bytes der) {
    Der whole(der);
    const auto certificate = whole.take(Der::sequence);
    if (!certificate)
        return Algorithm::malformed;
    Der parts(*certificate);
    const auto signed_part = parts.take(Der::sequence);
    if (!signed_part || !parts.take(Der::sequence) || !parts.take(Der::bit_string) ||
        !parts.at_end())
        return Algorithm::malformed;
    Der in(*signed_part);
    (void)in.take(Der::context_0);  // the version
    if (!in.take(Der::integer))     // the serial number
        return Algorithm::malformed;
    for (int i = 0; i < 4; ++i)  // signature, issuer, validity, subject
        if (!in.take(Der::sequence))
            return Algorithm::malformed;
    const auto key = in.take(Der::sequence);
    if (!key)
        return Algorithm::malformed;
    Der of_key(*key);
    const auto identifier = of_key.take(Der::sequence);
    return identifier && of_key.take(Der::bit_string) ? algorithm_of(*identifier)
                                                      : Algorithm::malformed;
}

Algorithm algorithm_of_key(Bytes der) {
    Der whole(der);
    Der in(whole.take(Der::sequence).value_or(Bytes{}));
    if (!in.take(Der::integer) || !whole.at_end())
        return Algorithm::malformed;
    if (const auto identifier = in.take(Der::sequence))  // PKCS#8
        return in.is_next(Der::octets) ? algorithm_of(*identifier) : Algorithm::malformed;
    if (in.take(Der::octets)) {  // SEC 1
        const auto parameters = in.take(Der::context_0);
        if (!parameters)
            return Algorithm::common;
        const auto curve = Der(*parameters).take(Der::oid);
        return curve ? algorithm_of_curve(*curve) : Algorithm::unsupported;
    }
    return in.take(Der::integer) ? Algorithm::common : Algorithm::malformed;  // PKCS#1
}

}  // namespace ussl::pem
