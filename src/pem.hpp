#pragma once

// Keys, certificates and CRLs as they stand in files, read once for every engine: PEM (RFC 7468) as
// programs and people leave it, or DER. An engine gets the DER of one value at a time.

#include "pem/der.hpp"
#include "ussl/context.hpp"

namespace ussl::pem {

inline ConfigError about(ConfigError::About option, ConfigError config_error) {
    config_error.about = option;
    return config_error;
}

/// Whether ussl knows a key's algorithm, and how many of the engines do.
enum class Algorithm : std::uint8_t {
    malformed,    ///< there is no key: it cannot be read
    common,       ///< RSA, ECDSA with a curve that TLS has: on every engine
    rare,         ///< EdDSA, RSA-PSS: the engine decides
    unsupported,  ///< anything else
};
/// Of the public key of a certificate, whose DER is walked through.
Algorithm algorithm_of_certificate(Bytes der);
/// Of a private key that is not encrypted: PKCS#1, SEC 1, PKCS#8.
Algorithm algorithm_of_key(Bytes der);

inline constexpr ConfigError invalid_key{"invalid key"};
inline constexpr ConfigError wrong_password{"invalid key: `key_password` is missing or wrong"};
inline constexpr ConfigError unsupported_key{
    "unsupported key: this engine cannot sign TLS with it"};

/// The DER of a value, wiped when released if it had to be decoded.
struct Content {
    SecretBytes decoded;
    Bytes der;
};

/// A private key as it stands in a file.
struct KeyContent : Content {
    bool is_encrypted = false;
    /// RFC 1421 §4.6.1.3: all of the PEM is encrypted; what DEK-Info says. Otherwise empty.
    std::string_view dek_info;
    /// Every engine decrypts it.
    bool is_common = false;
    /// PBES1 of PKCS#12, whose passwords are UTF-16 (RFC 7292 §B.1).
    bool is_pkcs12 = false;
    char encryption[sizeof(ConfigError::named)] = {};  ///< the algorithm's name, or its OID
};
/// The first private key.
std::expected<KeyContent, ConfigError> read_key(Bytes data);
ConfigError unsupported_encryption(const KeyContent& key);
/// Why the engine could not parse a key, whose DER is `der` once it has been decrypted.
ConfigError unparsed_key(const KeyContent& key, Bytes der);

/// What an engine makes of certificates and CRLs.
class Taker {
  public:
    enum class Taken : std::uint8_t {
        yes,
        unsupported,  ///< well-formed, but the engine does not have the algorithm
        malformed,
        refused,  ///< for the reason that refusal() gives
    };
    /// `der` is one value.
    virtual Taken certificate(Bytes der) = 0;
    virtual Taken crl(Bytes der) = 0;
    [[nodiscard]] virtual const char* config_error() const { return nullptr; }

  protected:
    ~Taker() = default;
};

/// The first certificate of `data`, as one DER value; none: there is none that can be read, or no
/// memory.
std::optional<Content> read_first_certificate(Bytes data);
/// This side's own certificates, in order: each must be taken.
std::optional<ConfigError> read_chain(Bytes data, Taker& taker);
/// Certificates and CRLs to trust. Those that are unsupported are passed over, and counted.
std::optional<ConfigError> read_trusted(Bytes data, Taker& taker, std::size_t& unsupported);
/// The same for a file of the system: so is everything that cannot be read. false: no memory.
bool read_system(Bytes data, Taker& taker, std::size_t& unsupported);

}  // namespace ussl::pem
