#pragma once

// Splits a file into blocks of PEM (RFC 7468) and the text between them, or DER values.

#include "../switches.h"
#include "ussl/context.hpp"

namespace ussl::pem {

inline constexpr std::string_view begin_marker = "-----BEGIN ";
inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

inline bool contains_pem(std::string_view text) {
    return text.find(begin_marker) != text.npos;
}

/// Returns `text` without blanks, line ends and NULs at both ends.
std::string_view trimmed(std::string_view text);

/// Decodes base64. Returns false if it is malformed. Also returns false, with an empty `into`, if
/// memory runs out.
bool decode(std::string_view base64, SecretBytes& into, std::size_t& size);

/// One PEM block, one DER value, or malformed content. Only PEM has a label.
struct Item {
    enum class Kind : std::uint8_t { pem, der, malformed };
    Kind kind;
    std::string_view all;      ///< the complete item
    std::string_view label{};  ///< "CERTIFICATE"
    std::string_view headers{};
    std::string_view base64{};

    [[nodiscard]] bool is_pem() const { return features::pem && kind == Kind::pem; }
    [[nodiscard]] bool is_key() const { return features::pem && label.ends_with("PRIVATE KEY"); }
    [[nodiscard]] bool is_certificate() const {
        return features::pem &&
               (label == "CERTIFICATE" || label == "X509 CERTIFICATE" || has_trust_settings());
    }
    /// Returns true for the format of OpenSSL, which may have trust settings after the certificate.
    [[nodiscard]] bool has_trust_settings() const {
        return features::pem && label == "TRUSTED CERTIFICATE";
    }
    [[nodiscard]] bool is_crl() const { return features::pem && label == "X509 CRL"; }
    /// Returns true for blocks that may accompany a certificate or key, and are ignored.
    [[nodiscard]] bool is_beside() const {
        return label.ends_with("KEY") || label.ends_with("PARAMETERS");
    }
};

/// Reads the items of a file. Any text between the blocks is ignored, such as "Bag Attributes".
class Reader {
  public:
    explicit Reader(Bytes data);

    std::optional<Item> next();
    [[nodiscard]] bool has_pem() const { return features::pem && has_pem_; }
    /// Adds the position of an item in the file to an error.
    ConfigError at(ConfigError config_error, const Item& item) const;

  private:
    std::string_view take(std::size_t size);
    Item block();

    std::string_view all_;
    std::string_view rest_;
    bool has_pem_;
};

}  // namespace ussl::pem
