#pragma once

// Reads keys, certificates and CRLs from files, for all engines: PEM (RFC 7468), with tolerance for
// text around the blocks, or DER. Engines receive the DER of one value at a time.

#include "pem/der.hpp"
#include "switches.h"
#include "ussl/context.hpp"

namespace ussl::pem {

inline ConfigError about(ConfigError::About option, ConfigError config_error) {
    config_error.about = option;
    return config_error;
}

/// The algorithm of a key, as far as ussl knows it.
enum class Algorithm : std::uint8_t {
    malformed,    ///< the key cannot be parsed
    common,       ///< RSA, ECDSA with a curve of TLS: supported by every engine
    rare,         ///< EdDSA, RSA-PSS: support depends on the engine
    unsupported,  ///< any other algorithm
};
/// Returns the algorithm of a certificate's public key. `der` is the certificate.
Algorithm algorithm_of_certificate(Bytes der);
/// Returns the algorithm of an unencrypted private key: PKCS#1, SEC 1, PKCS#8.
Algorithm algorithm_of_key(Bytes der);

inline constexpr ConfigError invalid_key{"invalid key"};
inline constexpr ConfigError wrong_password{
    USSL_ARGUMENT("invalid key: `key_password` is missing or wrong", "invalid `key_password`")};
inline constexpr ConfigError unsupported_key{
    USSL_ARGUMENT("unsupported key: this engine cannot sign TLS with it", "unsupported `key`")};

/// The DER of a value. If it had to be decoded, the decoded copy is wiped on release.
struct Content {
    SecretBytes decoded;
    Bytes der;
};

/// A private key of a file.
struct KeyContent : Content {
    bool is_encrypted = false;
    /// RFC 1421 §4.6.1.3: the content of DEK-Info, if the whole PEM is encrypted. Otherwise empty.
    std::string_view dek_info;
    /// Every engine can decrypt it.
    bool is_common = false;
    /// PBES1 of PKCS#12, which encodes passwords in UTF-16 (RFC 7292 §B.1).
    bool is_pkcs12 = false;
    char encryption[sizeof(ConfigError::named)] = {};  ///< the name of the algorithm, or its OID
};
/// Returns the first private key of `data`.
std::expected<KeyContent, ConfigError> read_key(Bytes data);
ConfigError unsupported_encryption(const KeyContent& key);
/// Returns the reason why the engine could not parse a key. `der` is its DER after decryption.
ConfigError unparsed_key(const KeyContent& key, Bytes der);

/// Receives certificates and CRLs; implemented by the engines.
class Taker {
  public:
    enum class Taken : std::uint8_t {
        yes,
        unsupported,  ///< well-formed, but the engine lacks the algorithm
        malformed,
        refused,  ///< for the reason that config_error() returns
    };
    /// `der` is exactly one value.
    virtual Taken certificate(Bytes der) = 0;
    virtual Taken crl(Bytes der) = 0;
    [[nodiscard]] virtual const char* config_error() const { return nullptr; }

  protected:
    ~Taker() = default;
};

/// Returns the DER of the first certificate of `data`. nullopt: there is no readable certificate,
/// or memory ran out.
std::optional<Content> read_first_certificate(Bytes data);
/// Passes this side's certificate chain to `taker`, in order: each one must be taken.
std::optional<ConfigError> read_chain(Bytes data, Taker& taker);
/// Passes trusted certificates and CRLs to `taker`. Unsupported ones are ignored and counted.
std::optional<ConfigError> read_trusted(Bytes data, Taker& taker, std::size_t& unsupported);
/// As read_trusted() for a file of the system's store: malformed content is ignored and counted,
/// too. Returns false if memory runs out.
bool read_system(Bytes data, Taker& taker, std::size_t& unsupported);

}  // namespace ussl::pem
