#pragma once

// The trust anchors of a compact store (docs/guide/root-stores.md). They are not copied, and a
// certificate is only made of the trust anchor that a verification needs.

#include "switches.h"
#include "ussl/context.hpp"

namespace ussl {

class RootStore {
  public:
    /// The store's data about a trust anchor.
    struct Root {
        Bytes subject;     ///< DER
        Bytes key;         ///< SubjectPublicKeyInfo, DER
        Bytes serial;      ///< the content of the INTEGER
        Bytes key_id;      ///< of subjectKeyIdentifier; empty: none
        Bytes extensions;  ///< other extensions that verification evaluates, in DER, concatenated
        std::int64_t not_before = 0;
        std::int64_t not_after = 0;
        /// Certificates whose validity starts after this time are not trusted.
        std::optional<std::int64_t> distrusted_after;
        std::uint32_t place = 0;
    };
    /// A store has at most 16 MB. RootStores uses the other bits of a place for the store's number.
    static constexpr unsigned place_bits = 24;
    using Sha256 = bool (*)(std::span<const Bytes> parts, std::span<std::uint8_t, 32> out);

    /// A store without roots.
    RootStore() = default;
    /// Returns true if the content begins as a root store.
    static bool begins(Bytes content);
    /// Checks all of `content`, which must stay valid and unchanged.
    static std::expected<RootStore, ConfigError> open(Bytes content, Sha256 sha256);

    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] bool empty() const { return !features::root_store || count_ == 0; }
    /// Calls take(root) for each trust anchor with that subject (DER), until it returns false.
    template <class Take>
    void for_each(Bytes subject, Take take) const {
        if constexpr (!features::root_store)
            return;
        const std::uint32_t wanted = hash(subject);
        for (std::size_t row = first_row(wanted); row < count_ && hash_of(row) == wanted; ++row) {
            const std::optional<Root> root = root_of(row);
            if (!root || (is_same(root->subject, subject) && !take(*root)))
                return;
        }
    }
    /// A certificate made of a trust anchor.
    struct Certificate {
        SecretBytes room;  ///< empty: out of memory
        std::size_t begin = 0;
        [[nodiscard]] Bytes der() const { return Bytes{room.data(), room.size()}.subspan(begin); }
    };
    /// Makes a certificate for the engines: version 3, with the subject also as issuer, and with
    /// `place` as signature.
    static Certificate certificate(const Root& root);
    /// Returns the trust anchor at a place, if it has that subject.
    [[nodiscard]] std::optional<Root> root_of(std::uint32_t place, Bytes subject) const;

    /// Returns a short replacement of `content` for comparisons of options: the header, which
    /// contains the digest of the content.
    static Bytes summary(Bytes content) {
        return content.first(content.size() < header_size ? content.size() : header_size);
    }

    /// Returns true if both have the same content.
    [[nodiscard]] bool is_same(const RootStore& other) const {
        return is_same(summary(content_), summary(other.content_));
    }

  private:
    static constexpr std::size_t header_size = 48;
    static constexpr std::size_t row_size = 8;

    static std::uint32_t hash(Bytes subject);
    static bool is_same(Bytes a, Bytes b);
    [[nodiscard]] std::optional<ConfigError> check() const;
    [[nodiscard]] std::uint32_t hash_of(std::size_t row) const;
    [[nodiscard]] std::size_t first_row(std::uint32_t hash) const;
    [[nodiscard]] std::optional<Root> root_of(std::size_t row) const;
    [[nodiscard]] std::optional<Root> find(Bytes signature, Bytes subject) const;
    [[nodiscard]] std::optional<Root> root_at(std::size_t place, std::size_t& size) const;

    Bytes content_;
    std::size_t count_ = 0;
};

/// The root stores of a context.
class RootStores {
  public:
    /// Opens Options::root_stores, and Options::system_roots if the system's store is used.
    std::optional<ConfigError> open(const Options& options, RootStore::Sha256 sha256);

    [[nodiscard]] bool empty() const { return size_ == 0; }
    /// The number of trust anchors.
    [[nodiscard]] std::size_t count() const;
    /// As RootStore::for_each(), for all stores.
    template <class Take>
    void for_each(Bytes subject, Take take) const {
        bool more = true;
        for (std::size_t i = 0; more && i < size_; ++i)
            stores_[i].for_each(subject, [&](RootStore::Root root) {
                root.place |= static_cast<std::uint32_t>(i << RootStore::place_bits);
                more = take(root);
                return more;
            });
    }
    /// Returns the trust anchor that a certificate of RootStore::certificate() was made of, by its
    /// signature and subject.
    [[nodiscard]] std::optional<RootStore::Root> root_of(Bytes signature, Bytes subject) const {
        if constexpr (features::root_store)
            return find(signature, subject);
        return std::nullopt;
    }

  private:
    [[nodiscard]] std::optional<RootStore::Root> find(Bytes signature, Bytes subject) const;
    std::optional<ConfigError> add(Bytes content, ConfigError::About option,
                                   RootStore::Sha256 sha256);

    RootStore stores_[max_root_stores + 1];
    std::size_t size_ = 0;
};

}  // namespace ussl
