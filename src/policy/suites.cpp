#include "suites.hpp"

#include <algorithm>
#include <cstring>

#include "../text.hpp"
#include "rules.hpp"

namespace ussl::policy {

namespace {

// RFC 8446 §4.2.11: the hash of a key that was agreed upon outside of TLS is SHA-256.
bool fits(std::uint16_t suite, bool psk) {
    constexpr std::uint16_t with_sha384 = 0x1302;
    if (std::ranges::find(every_suite, suite) == every_suite.end())
        return false;
    if (is_tls1_3(suite))
        return !psk || suite != with_sha384;
    return psk == (std::ranges::find(suites_tls1_2_psk, suite) != std::end(suites_tls1_2_psk) ||
                   std::ranges::find(opt_in_psk_suites, suite) != std::end(opt_in_psk_suites));
}

// A key exchange with RSA: the server's key decrypts, where in all others it signs.
bool decrypts(std::uint16_t suite) {
    return suite <= 0x009D && fits(suite, false);
}

// A suite's name without what the spellings differ in: "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256" is
// "ECDHERSAAES128SHA256".
class PlainName {
  public:
    explicit PlainName(std::string_view name) {
        // Names of TLS 1.3 begin with TLS and have no WITH; here, TLS stays.
        if (name.starts_with("TLS") && name.find("WITH") == std::string_view::npos)
            add("TLS");
        if (name.starts_with("TLS1-3-"))
            name.remove_prefix(sizeof "TLS1-3-" - 1);
        while (!name.empty()) {
            const std::string_view word = up_to(name, name.find_first_of("-_"));
            name = from(name, word.size() + 1);
            // OpenSSL has no word for the key exchange with RSA.
            if (word == "WITH" && text() == "RSA")
                size_ = 0;
            else if (word != "TLS" && word != "WITH" && word != "CBC")
                add(word);
        }
        // Nor for the only hash that there is.
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
                !(options.sign_by_program && decrypts(suite)) && offer.count < offer.suites.size())
                offer.suites[offer.count++] = suite;
    };
    using List = std::span<const std::uint16_t>;
    const List by_default = psk ? List(suites_tls1_2_psk) : List(suites_tls1_2);
    if (options.maximum_version == Version::tls1_3)
        add(options.suites.value_or(List(suites_tls1_3)), true);
    offer.count_tls1_3 = offer.count;
    if (options.minimum_version == Version::tls1_2)
        add(options.suites.value_or(by_default), false);
    const bool has_tls1_3 = offer.count_tls1_3 != 0;
    offer.minimum_version = offer.count > offer.count_tls1_3 ? Version::tls1_2 : Version::tls1_3;
    offer.maximum_version = has_tls1_3 ? Version::tls1_3 : Version::tls1_2;
    return offer;
}

bool is_suite(std::string_view iana, std::string_view name) {
    return PlainName(iana).text() == PlainName(name).text();
}

}  // namespace ussl::policy
