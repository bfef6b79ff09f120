#include "suites.hpp"

#include <algorithm>
#include <cstring>

#include "../switches.h"
#include "../text.hpp"
#include "rules.hpp"

namespace ussl::policy {

namespace {

// RFC 8446 §4.2.11: the hash of an external pre-shared key is SHA-256.
bool fits(std::uint16_t suite, bool psk) {
    constexpr std::uint16_t with_sha384 = 0x1302;
    // The defaults fit, except that one.
    if constexpr (!features::context)
        return !psk || suite != with_sha384;
    if (std::ranges::find(every_suite, suite) == every_suite.end())
        return false;
    if (is_tls1_3(suite))
        return !psk || suite != with_sha384;
    return psk == (std::ranges::find(suites_tls1_2_psk, suite) != std::end(suites_tls1_2_psk) ||
                   std::ranges::find(opt_in_psk_suites, suite) != std::end(opt_in_psk_suites));
}

// Returns true for a key exchange with RSA: the server's key decrypts. In all other suites it
// signs.
bool decrypts(std::uint16_t suite) {
    return suite <= 0x009D && fits(suite, false);
}

// The name of a suite without the differences of the spellings:
// "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" becomes "ECDHERSAAES128SHA256".
class PlainName {
  public:
    explicit PlainName(std::string_view name) {
        // Names of TLS 1.3 suites start with TLS and do not contain WITH. They keep TLS.
        if (name.starts_with("TLS") && name.find("WITH") == std::string_view::npos)
            add("TLS");
        if (name.starts_with("TLS1-3-"))
            name.remove_prefix(sizeof "TLS1-3-" - 1);
        while (!name.empty()) {
            const std::string_view word = up_to(name, name.find_first_of("-_"));
            name = from(name, word.size() + 1);
            // OpenSSL's names do not mention the RSA key exchange.
            if (word == "WITH" && text() == "RSA")
                size_ = 0;
            else if (word != "TLS" && word != "WITH" && word != "CBC")
                add(word);
        }
        // OpenSSL's names do not mention the hash of ChaCha20-Poly1305 suites.
        if (text().ends_with("POLY1305SHA256"))
            size_ -= sizeof "SHA256" - 1;
    }

    [[nodiscard]] std::string_view text() const { return {text_, size_}; }

  private:
    void add(std::string_view word) {
        const std::size_t n = std::min(word.size(), sizeof text_ - size_);
        std::memcpy(text_ + size_, word.data(), n);
        size_ += n;
    }

    char text_[64];
    std::size_t size_ = 0;
};

}  // namespace

Offer offer_of(const Options& options) {
    Offer offer;
    const bool psk = uses_psk(options);
    const auto add = [&](std::span<const std::uint16_t> list, bool tls1_3) {
        for (const std::uint16_t suite : list)
            if (is_tls1_3(suite) == tls1_3 && fits(suite, psk) &&
                !(features::sign_callback && options.sign_by_program && decrypts(suite)) &&
                offer.count < offer.suites.size())
                offer.suites[offer.count++] = suite;
    };
    using List = std::span<const std::uint16_t>;
    const List by_default = psk ? List(suites_tls1_2_psk) : List(suites_tls1_2);
    const auto chosen = [&](List defaults) {
        return features::context ? options.suites.value_or(defaults) : defaults;
    };
    if (options.maximum_version == Version::tls1_3)
        add(chosen(suites_tls1_3), true);
    offer.count_tls1_3 = offer.count;
    if (options.minimum_version == Version::tls1_2)
        add(chosen(by_default), false);
    const bool has_tls1_3 = offer.count_tls1_3 != 0;
    offer.minimum_version = offer.count > offer.count_tls1_3 ? Version::tls1_2 : Version::tls1_3;
    offer.maximum_version = has_tls1_3 ? Version::tls1_3 : Version::tls1_2;
    return offer;
}

bool is_suite(std::string_view iana, std::string_view name) {
    return PlainName(iana).text() == PlainName(name).text();
}

}  // namespace ussl::policy
