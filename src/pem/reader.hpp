#pragma once

// What stands in a file: blocks of PEM (RFC 7468) as programs and people leave it, or DER.

#include "ussl/context.hpp"

namespace ussl::pem {

inline constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// Without blanks, line ends and NULs at both ends.
std::string_view trimmed(std::string_view text);

/// Decodes base64. false: it is malformed, or there is no memory, and `into` is empty.
bool decode(std::string_view base64, SecretBytes& into, std::size_t& size);

/// One block of PEM, one DER value, or what is neither.
struct Item {
    enum class Kind : std::uint8_t { pem, der, malformed };
    Kind kind;
    std::string_view all;      ///< from the first byte to the last
    std::string_view label{};  ///< "CERTIFICATE"
    std::string_view headers{};
    std::string_view base64{};

    [[nodiscard]] bool is_key() const { return label.ends_with("PRIVATE KEY"); }
    [[nodiscard]] bool is_certificate() const {
        return label == "CERTIFICATE" || label == "X509 CERTIFICATE" ||
               label == "TRUSTED CERTIFICATE";
    }
    [[nodiscard]] bool is_crl() const { return label == "X509 CRL"; }
    /// What may stand beside a certificate or key, and is of no use here.
    [[nodiscard]] bool is_beside() const {
        return label.ends_with("KEY") || label.ends_with("PARAMETERS");
    }
};

/// Walks over a file. Between blocks may be any lines of text, "Bag Attributes" for example.
class Reader {
  public:
    explicit Reader(Bytes data);

    std::optional<Item> next();
    [[nodiscard]] bool has_pem() const { return has_pem_; }
    /// Says where in the file an item begins.
    ConfigError at(ConfigError config_error, const Item& item) const;

  private:
    std::string_view take(std::size_t size);
    Item block();

    std::string_view all_;
    std::string_view rest_;
    bool has_pem_;
};

}  // namespace ussl::pem
