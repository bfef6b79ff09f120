#pragma once

#include <optional>
#include <string_view>

#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

/// A server's name as the program gave it: a DNS name or an IP address.
class HostName : public OnHeap {
  public:
    /// Takes a DNS name (ASCII, RFC 1123; a final dot is dropped) or an IPv4 or IPv6 address.
    /// false: it is neither.
    bool parse(std::string_view text);

    [[nodiscard]] bool is_address() const { return address_size_ != 0; }
    /// The DNS name; empty for an address.
    [[nodiscard]] std::string_view dns() const { return {dns_, dns_size_}; }
    [[nodiscard]] const char* dns_c_str() const { return dns_; }
    [[nodiscard]] Bytes address() const { return {address_, address_size_}; }

  private:
    char dns_[254] = {};
    std::uint8_t dns_size_ = 0;
    std::uint8_t address_size_ = 0;
    std::uint8_t address_[16] = {};
};

/// Whether a certificate is for a name (RFC 9525 §6). An engine feeds it every alternative name,
/// then the subject's common name, and asks.
class HostNameCheck {
  public:
    explicit HostNameCheck(const HostName& name) : name_(name) {}

    void alternative_dns(std::string_view pattern);
    void alternative_address(Bytes address);
    /// A kind of name that no server is reached by; it still makes the common name void.
    void alternative_other() { has_alternatives_ = true; }
    void common_name(std::string_view pattern);

    [[nodiscard]] bool matches() const { return matches_; }

  private:
    const HostName& name_;
    bool has_alternatives_ = false;
    bool matches_ = false;
};

}  // namespace ussl
