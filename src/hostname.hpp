#pragma once

#include <optional>
#include <string_view>

#include "ussl/memory.hpp"
#include "ussl/types.hpp"

namespace ussl {

/// A server's name from the program: a DNS name or an IP address.
class HostName : public OnHeap {
  public:
    /// Parses a DNS name (ASCII, RFC 1123; a final dot is removed) or an IPv4 or IPv6 address.
    /// Returns false if it is neither.
    bool parse(std::string_view text);

    [[nodiscard]] bool is_address() const { return address_size_ != 0; }
    /// Returns the DNS name; empty for an address.
    [[nodiscard]] std::string_view dns() const { return {dns_, dns_size_}; }
    [[nodiscard]] const char* dns_c_str() const { return dns_; }
    [[nodiscard]] Bytes address() const { return {address_, address_size_}; }

  private:
    char dns_[254] = {};
    std::uint8_t dns_size_ = 0;
    std::uint8_t address_size_ = 0;
    std::uint8_t address_[16] = {};
};

/// Checks whether a certificate matches a name (RFC 9525 §6). The engine passes every alternative
/// name, then the subject's common name, and calls matches().
class HostNameCheck {
  public:
    explicit HostNameCheck(const HostName& name) : name_(name) {}

    void alternative_dns(std::string_view pattern);
    void alternative_address(Bytes address);
    /// Passes an alternative name of another type. It cannot match, but its presence excludes the
    /// common name.
    void alternative_other() { has_alternatives_ = true; }
    void common_name(std::string_view pattern);

    [[nodiscard]] bool matches() const { return matches_; }

  private:
    const HostName& name_;
    bool has_alternatives_ = false;
    bool matches_ = false;
};

}  // namespace ussl
