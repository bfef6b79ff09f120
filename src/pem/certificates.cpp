// Reads certificates and CRLs: this side's chain, ca_certs and the system's store.

#include "../pem.hpp"
#include "../switches.h"
#include "formats.hpp"

namespace ussl::pem {
namespace {

constexpr ConfigError invalid_certificate{"invalid cert"};
constexpr ConfigError no_memory{"out of memory", true};

// Returns true if the data after the certificate in a TRUSTED CERTIFICATE of OpenSSL
// (X509_CERT_AUX) restricts the purposes. ussl does not evaluate these settings.
bool has_trust_settings(Bytes aux) {
    Der der(aux);
    const auto settings = der.take(Der::sequence);
    return !settings || !der.at_end() || Der(*settings).is_next(Der::sequence) ||
           Der(*settings).is_next(Der::context_0);
}

enum class Purpose : std::uint8_t { chain, trusted, system };

class PemOrDerReader {
  public:
    PemOrDerReader(Bytes data, Taker& taker, Purpose purpose)
        : data_(data), taker_(taker), purpose_(purpose), reader_(data) {}
    std::optional<ConfigError> read();
    [[nodiscard]] std::size_t unsupported() const { return unsupported_; }

  private:
    using Taken = Taker::Taken;
    Taken take(const Item& item, bool& lacks_memory);
    Taken take_certificate(Bytes der, bool trusted_label);

    Bytes data_;
    Taker& taker_;
    Purpose purpose_;
    Reader reader_;
    std::size_t certificates_ = 0, crls_ = 0, unsupported_ = 0;
    bool has_settings_ = false;
    bool is_bad_pem_ = false;  ///< of the last malformed item: malformed base64
};

Taker::Taken PemOrDerReader::take_certificate(Bytes der, bool trusted_label) {
    if (trusted_label) {
        const Bytes certificate = first_value(der);
        if (certificate.empty())
            return Taken::malformed;
        // In this side's own chain, trust settings have no effect.
        if (certificate.size() != der.size() && purpose_ != Purpose::chain &&
            has_trust_settings(der.subspan(certificate.size()))) {
            has_settings_ = true;
            return Taken::unsupported;
        }
        der = certificate;
    }
    const Algorithm algorithm = algorithm_of_certificate(der);
    if (algorithm == Algorithm::malformed || algorithm == Algorithm::unsupported)
        return algorithm == Algorithm::malformed ? Taken::malformed : Taken::unsupported;
    return taker_.certificate(der);
}

Taker::Taken PemOrDerReader::take(const Item& item, bool& lacks_memory) {
    Bytes der = bytes_of(item.all);
    SecretBytes decoded;
    if (item.is_pem()) {
        std::size_t size = 0;
        // Certificates are never encrypted, so headers are malformed.
        if (!item.headers.empty() || !decode(item.base64, decoded, size)) {
            lacks_memory = item.headers.empty() && decoded.empty();
            is_bad_pem_ = item.headers.empty();
            return Taken::malformed;
        }
        der = {decoded.data(), size};
    }
    // Without CRLs, other data in DER is malformed.
    const bool may_be_crl = (features::crl && item.kind == Item::Kind::der) || item.is_crl();
    const bool is_certificate =
        item.is_certificate() ||
        (item.kind == Item::Kind::der && algorithm_of_certificate(der) != Algorithm::malformed);
    const bool trusted_label = item.has_trust_settings();
    if (!trusted_label && !is_one_value(der))
        return Taken::malformed;
    if (is_certificate) {
        const Taken taken = take_certificate(der, trusted_label);
        certificates_ += taken == Taken::yes ? 1U : 0U;
        unsupported_ += taken == Taken::unsupported ? 1U : 0U;
        return taken;
    }
    if (!may_be_crl || purpose_ == Purpose::chain)
        return Taken::malformed;
    if constexpr (!features::crl)
        return Taken::refused;
    const Taken taken = taker_.crl(der);
    crls_ += taken == Taken::yes ? 1U : 0U;
    return taken;
}

std::optional<ConfigError> PemOrDerReader::read() {
    constexpr ConfigError unsupported{USSL_ARGUMENT(
        "unsupported cert: this engine does not have its algorithm", "unsupported cert")};
    std::optional<Item> skipped;
    while (const auto item = reader_.next()) {
        if (item->is_pem() && item->is_beside() && item->label != "OPENSSH PRIVATE KEY")
            continue;
        bool lacks_memory = false;
        const Taken taken =
            item->kind == Item::Kind::malformed ? Taken::malformed : take(*item, lacks_memory);
        if (lacks_memory)
            return no_memory;
        if (taken == Taken::yes || purpose_ == Purpose::system)
            continue;
        if (taken == Taken::unsupported) {
            if (purpose_ == Purpose::chain)
                return reader_.at(unsupported, *item);
            if (!skipped)
                skipped = item;
            continue;
        }
        if (taken == Taken::refused)
            return reader_.at(
                ConfigError{features::crl ? taker_.config_error() : USSL_OMITTED("the CRL", "crl")},
                *item);
        ConfigError config_error = reader_.at(invalid_certificate, *item);
        if (certificates_ + crls_ + unsupported_ == 0)
            config_error.hint = looks_like(data_, false);
        if (config_error.hint == nullptr &&
            (is_bad_pem_ || (item->kind == Item::Kind::malformed && reader_.has_pem())))
            config_error.hint = malformed_pem;
        return config_error;
    }
    if (purpose_ == Purpose::system)
        return std::nullopt;
    if (certificates_ == 0 && skipped) {
        // The hint is the OpenSSL command that removes the settings.
        constexpr ConfigError settings{
            "unsupported cert", false,
            USSL_LOOKS("a TRUSTED CERTIFICATE with trust settings", "openssl x509 -in")};
        return reader_.at(has_settings_ ? settings : unsupported, *skipped);
    }
    if (certificates_ + crls_ == 0)
        return with_hint(invalid_certificate, data_, false);
    return std::nullopt;
}

}  // namespace

std::optional<Content> read_first_certificate(Bytes data) {
    Reader reader(data);
    while (const auto item = reader.next()) {
        Content content{{}, bytes_of(item->all)};
        std::size_t size = 0;
        if (item->kind == Item::Kind::der &&
            algorithm_of_certificate(content.der) == Algorithm::malformed)
            continue;  // a CRL
        if (item->kind == Item::Kind::der)
            return content;
        if (item->is_pem() && !item->is_certificate())
            continue;
        if (!item->is_pem() || !item->headers.empty() ||
            !decode(item->base64, content.decoded, size))
            break;
        content.der = {content.decoded.data(), size};
        if (item->has_trust_settings())
            content.der = first_value(content.der);
        if (!is_one_value(content.der))
            break;
        return content;
    }
    return std::nullopt;
}

std::optional<ConfigError> read_chain(Bytes data, Taker& taker) {
    return PemOrDerReader(data, taker, Purpose::chain).read();
}

std::optional<ConfigError> read_trusted(Bytes data, Taker& taker, std::size_t& unsupported) {
    PemOrDerReader values(data, taker, Purpose::trusted);
    std::optional<ConfigError> config_error = values.read();
    unsupported += values.unsupported();
    return config_error;
}

bool read_system(Bytes data, Taker& taker, std::size_t& unsupported) {
    PemOrDerReader values(data, taker, Purpose::system);
    const bool has_memory = !values.read();
    unsupported += values.unsupported();
    return has_memory;
}

}  // namespace ussl::pem
