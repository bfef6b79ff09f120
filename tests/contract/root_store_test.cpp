// Compact root stores (docs/guide/root-stores.md): they are trusted as the same roots in `trusted`,
// and a damaged one is rejected.

#include "root_store.hpp"
#include "context_internals.hpp"
#include "roots.hpp"

namespace contract {
namespace {

using roots::big_endian, roots::Entry, roots::entry_of, roots::sealed, roots::store_of;

/// A client that trusts a root store instead of a root.
Plan with_store(const std::string& store, const std::string& server = "server") {
    Plan made = with_certificate(server);
    made.client.trusted.reset();
    made.client.root_stores = {bytes(store)};
    return made;
}

class RootStores : public EachPair {
  protected:
    static Code result_of(const Plan& made) {
        Pair pair(plan(made));
        pair.handshake();
        return pair.client->error().code;
    }
    static std::string refusal_of(const std::string& store, std::uint32_t* offset = nullptr) {
        const auto made = Context::make(
            *GetParam().client, {.root_stores = {bytes(store)}, .verify = Verify::required});
        if (made)
            return "";
        EXPECT_EQ(made.error().about, ussl::ConfigError::About::root_store);
        if (offset != nullptr)
            *offset = made.error().offset;
        return made.error().reason;
    }
};
INSTANTIATE_EACH_PAIR(RootStores);

TEST_P(RootStores, AreTrusted) {
    const std::string store = store_of({entry_of("ca.crt"), entry_of("ca-rsa.crt")});
    EXPECT_EQ(result_of(with_store(store)), Code::none);
    EXPECT_EQ(result_of(with_store(store, "server-rsa")), Code::none);
    EXPECT_EQ(result_of(with_store(store, "server-other")), Code::CERT_UNKNOWN_ISSUER);
    EXPECT_EQ(result_of(with_store(store, "server-selfsigned")), Code::CERT_SELF_SIGNED);
}

TEST_P(RootStores, AddToTrustedCertificates) {
    const std::string store = store_of("ca-rsa.crt");
    Plan made = with_store(store);
    made.client.trusted = bytes(cert("ca.crt"));
    EXPECT_EQ(result_of(made), Code::none);
    made = with_store(store, "server-rsa");
    EXPECT_EQ(result_of(made), Code::none);
    made.client.trusted = bytes(cert("ca.crt"));
    EXPECT_EQ(result_of(made), Code::none);
}

// Each of them has its name from the other: OpenSSL looks up only names that it does not know.
TEST_P(RootStores, AddRootsOfANameThatIsTrusted) {
    Entry other = entry_of("ca-rsa.crt");
    other.subject = entry_of("ca.crt").subject;
    const std::string with_wrong_key = store_of({other});
    Plan made = with_store(with_wrong_key);
    EXPECT_NE(result_of(made), Code::none);
    made.client.trusted = bytes(cert("ca.crt"));
    EXPECT_EQ(result_of(made), Code::none);
    const std::string both = store_of({other, entry_of("ca.crt")});
    EXPECT_EQ(result_of(with_store(both)), Code::none);
}

TEST_P(RootStores, WithAnotherKeyOfTheSameNameAreNotTheIssuer) {
    Entry entry = entry_of("ca.crt");
    entry.key = entry_of("ca-other.crt").key;
    const std::string store = store_of({entry});
    EXPECT_EQ(result_of(with_store(store)), Code::CERT_BAD_SIGNATURE);
}

TEST_P(RootStores, WithAnotherKeyIdentifierAreNotTheIssuer) {
    Entry entry = entry_of("ca.crt");
    entry.key_id = "another";
    const std::string store = store_of({entry});
    EXPECT_EQ(result_of(with_store(store)), Code::CERT_UNKNOWN_ISSUER);
}

TEST_P(RootStores, KeepTheValidityPeriod) {
    Entry entry = entry_of("ca.crt");
    entry.not_after = entry.not_before + 1;
    const std::string expired = store_of({entry});
    EXPECT_EQ(result_of(with_store(expired)), Code::CERT_EXPIRED);
    entry.not_before = entry.not_after = std::int64_t{4102444800} * 3;  // 2360
    const std::string early = store_of({entry});
    EXPECT_EQ(result_of(with_store(early)), Code::CERT_NOT_YET_VALID);
    entry.not_before = -std::int64_t{3600} * 24 * 365 * 100;  // a GeneralizedTime before 1950
    const std::string long_valid = store_of({entry});
    EXPECT_EQ(result_of(with_store(long_valid)), Code::none);
}

TEST_P(RootStores, WithADistrustDateAreForOlderCertificates) {
    Entry entry = entry_of("ca.crt");
    const std::int64_t begin = entry_of("server.crt").not_before;
    entry.distrusted_after = begin;
    const std::string until_then = store_of({entry});
    EXPECT_EQ(result_of(with_store(until_then)), Code::none);
    entry.distrusted_after = begin - 1;
    const std::string before = store_of({entry});
    EXPECT_EQ(result_of(with_store(before)), Code::CERT_UNKNOWN_ISSUER);
}

TEST_P(RootStores, KeepExtensions) {
    // basicConstraints without CA; keyUsage without keyCertSign.
    constexpr std::string_view no_ca("\x30\x0C\x06\x03\x55\x1D\x13\x01\x01\xFF\x04\x02\x30\x00",
                                     14);
    constexpr std::string_view no_sign(
        "\x30\x0F\x06\x03\x55\x1D\x13\x01\x01\xFF\x04\x05\x30\x03\x01\x01\xFF"
        "\x30\x0E\x06\x03\x55\x1D\x0F\x01\x01\xFF\x04\x04\x03\x02\x01\x02",
        33);
    for (const std::string_view extensions : {no_ca, no_sign}) {
        Entry entry = entry_of("ca.crt");
        entry.flags = 0;
        entry.extensions = extensions;
        const std::string store = store_of({entry});
        EXPECT_EQ(result_of(with_store(store)), Code::CERT_INVALID);
    }
}

TEST_P(RootStores, SeveralAddUp) {
    const std::string one = store_of("ca.crt");
    const std::string two = store_of("ca-rsa.crt");
    for (const char* server : {"server", "server-rsa"}) {
        Plan made = with_store(one, server);
        made.client.root_stores = {bytes(one), bytes(two)};
        EXPECT_EQ(result_of(made), Code::none);
        made.client.root_stores = {bytes(one)};
        made.client.system_roots = bytes(two);
        made.client.system_store = true;
        EXPECT_EQ(result_of(made), Code::none);
    }
    // The same entry of the second store has another distrust date.
    Entry entry = entry_of("ca-rsa.crt");
    entry.distrusted_after = entry_of("server-rsa.crt").not_before - 1;
    const std::string distrusted = store_of({entry});
    Plan made = with_store(one, "server-rsa");
    made.client.root_stores = {bytes(one), bytes(distrusted)};
    EXPECT_EQ(result_of(made), Code::CERT_UNKNOWN_ISSUER);
}

TEST_P(RootStores, OfTheSystemReplaceItsStore) {
    const std::string store = store_of("ca.crt");
    Plan made = with_certificate();
    made.client.trusted.reset();
    made.client.system_roots = bytes(store);
    EXPECT_EQ(result_of(made), Code::none);
    // As the system's store, they are used only without other trust anchors, or by system_store.
    made.client.trusted = bytes(cert("ca-other.crt"));
    EXPECT_EQ(result_of(made), Code::CERT_UNKNOWN_ISSUER);
    made.client.system_store = true;
    EXPECT_EQ(result_of(made), Code::none);
    const std::string other = store_of("ca-other.crt");
    made = with_store(other);
    made.client.system_roots = bytes(store);
    EXPECT_EQ(result_of(made), Code::CERT_UNKNOWN_ISSUER);
    made.client.system_store = true;
    EXPECT_EQ(result_of(made), Code::none);
}

TEST_P(RootStores, OfTheSystemAreOnlyForServersThatAskForThem) {
    const std::string store = store_of("ca.crt");
    Plan made = with_certificate();
    mutual(made);
    made.server.trusted.reset();
    made.server.system_roots = bytes(store);
    EXPECT_FALSE(Context::make(*made.server_engine, made.server));
    made.server.system_store = true;
    Pair pair(plan(made));
    EXPECT_TRUE(pair.handshake()) << describe(pair.server->error());
}

TEST_P(RootStores, OfTheSystemThatAreDamagedAreRefused) {
    const std::string store = store_of("ca.crt");
    const std::string damaged = store.substr(0, store.size() - 1);
    const Options options{.system_roots = bytes(damaged), .verify = Verify::required};
    const auto made = Context::make(*GetParam().client, options);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().about, ussl::ConfigError::About::system_roots);
    EXPECT_STREQ(made.error().reason, "truncated root store");
    // They are not read if they are not used.
    Options unused = options;
    unused.trusted = bytes(cert("ca.crt"));
    EXPECT_TRUE(Context::make(*GetParam().client, unused));
}

TEST_P(RootStores, AreForServersAsWell) {
    Plan made = with_certificate();
    mutual(made);
    const std::string store = store_of("ca.crt");
    made.server.trusted.reset();
    made.server.root_stores = {bytes(store)};
    Pair pair(plan(made));
    EXPECT_TRUE(pair.handshake()) << describe(pair.server->error());
    EXPECT_TRUE(pair.server->peer_verified());
}

TEST_P(RootStores, WorkWithCrls) {
    const std::string store = store_of("ca.crt");
    // A root that has not issued anything here, and the CRL of the store's.
    const std::string trusted = cert("ca-other.crt") + cert("ca.crl");
    for (const auto& [server, expected] :
         {std::pair{"server", Code::none}, std::pair{"server-revoked", Code::CERT_REVOKED}}) {
        Plan made = with_store(store, server);
        made.client.trusted = bytes(trusted);
        EXPECT_EQ(result_of(made), expected);
        made.client.trusted = bytes(cert("ca.crl"));
        EXPECT_EQ(result_of(made), expected);
    }
}

TEST_P(RootStores, ThePinIsThePeersOwn) {
    const std::string store = store_of("ca.crt");
    Plan made = with_store(store);
    std::string pin(32, '\0');
    const std::string key = entry_of("server.crt").key;
    const Bytes parts[] = {bytes(key)};
    ASSERT_TRUE(ussl::openssl_engine.sha256(
        std::span<const Bytes>(parts),
        std::span<std::uint8_t, 32>(reinterpret_cast<std::uint8_t*>(pin.data()), 32)));
    made.client.pins = bytes(pin);
    EXPECT_EQ(result_of(made), Code::none);
    pin[0] = static_cast<char>(pin[0] ^ 1);
    EXPECT_EQ(result_of(made), Code::CERT_PIN);
}

// The program is asked about the certificates that the peer sent; of a root there are only parts.
TEST_P(RootStores, TheProgramSeesThePresentedChain) {
    const std::string store = store_of("ca.crt");
    Plan made = with_store(store, "server-intermediate");
    made.server.certificate = bytes(cert("server-chain.crt"));
    made.client.verify_by_program = true;
    Pair pair(plan(made));
    EXPECT_TRUE(pair.handshake()) << describe(pair.client->error());
    std::vector<int> depths;
    for (const auto& [depth, certificate] : pair.client_callbacks.judged)
        depths.push_back(depth);
    EXPECT_EQ(depths, (std::vector{1, 0}));
}

TEST_P(RootStores, AreCounted) {
    const std::string store = store_of({entry_of("ca.crt"), entry_of("ca-rsa.crt")});
    Plan made = plan(with_store(store));
    made.client.trusted = bytes(cert("ca-other.crt"));
    const auto context = Context::make(*made.client_engine, made.client);
    ASSERT_TRUE(context);
    EXPECT_EQ((*context)->store_stats().certificates, 3U);
    EXPECT_EQ((*context)->store_stats().authorities, 3U);
    made.client_context = *context;
    Pair pair(made);
    EXPECT_TRUE(pair.handshake());
    EXPECT_EQ((*context)->store_stats().certificates, 3U);
    // A store that is there twice counts once.
    const std::string second = store_of("ca-intermediate.crt");
    made.client.root_stores = {bytes(store), bytes(second), bytes(store)};
    const auto several = Context::make(*made.client_engine, made.client);
    ASSERT_TRUE(several);
    EXPECT_EQ((*several)->store_stats().certificates, 4U);
}

TEST_P(RootStores, DecideWhichSessionsAreResumed) {
    const std::string one = store_of("ca.crt");
    const std::string two = store_of({entry_of("ca.crt"), entry_of("ca-rsa.crt")});
    const auto scope_of = [](const std::string& store) {
        const auto context = Context::make(
            *GetParam().client,
            {.root_stores = {bytes(store)}, .verify = Verify::required, .resumption = true});
        return ussl::ContextInternals::sessions(**context)->scope_of("localhost").value();
    };
    EXPECT_EQ(scope_of(one), scope_of(std::string(one)));
    EXPECT_NE(scope_of(one), scope_of(two));
    const auto scope_with = [&](const Options& options) {
        const auto context = Context::make(*GetParam().client, options);
        return ussl::ContextInternals::sessions(**context)->scope_of("localhost").value();
    };
    const Options options{.system_roots = bytes(one), .resumption = true};
    Options other = options;
    other.system_roots = bytes(two);
    EXPECT_EQ(scope_with(options), scope_with(options));
    EXPECT_NE(scope_with(options), scope_with(other));
}

TEST_P(RootStores, DamagedAnywhereAreRefused) {
    const std::string store = store_of("ca.crt");
    ASSERT_EQ(refusal_of(store), "");
    for (std::size_t at = 0; at < store.size(); ++at) {
        std::string damaged = store;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
        EXPECT_NE(refusal_of(damaged), "") << at;
    }
    std::string damaged = store;
    damaged.back() = static_cast<char>(damaged.back() ^ 1);
    EXPECT_EQ(refusal_of(damaged), "damaged root store: its SHA-256 is wrong");
    EXPECT_EQ(refusal_of(cert("ca.crt")), "not a root store (tools/make_roots makes one)");
    damaged = store;
    damaged[9] = 2;
    EXPECT_EQ(refusal_of(sealed(damaged)), "unsupported format of a root store");
}

TEST_P(RootStores, OfAnotherLengthAreRefused) {
    const std::string store = store_of("ca.crt");
    for (std::size_t size = 0; size < store.size(); ++size) {
        std::uint32_t offset = 0;
        EXPECT_EQ(refusal_of(store.substr(0, size), &offset), "truncated root store");
        EXPECT_EQ(offset, size);
    }
    EXPECT_EQ(refusal_of(store + "x"), "damaged root store: there is more behind its end");
}

// tools/make_roots makes none of these.
TEST_P(RootStores, ThatAreMalformedAreRefused) {
    const std::string store = store_of({entry_of("ca.crt"), entry_of("ca-rsa.crt")});
    const auto changed = [&](std::size_t at, const std::string& bytes) {
        return sealed(std::string(store).replace(at, bytes.size(), bytes));
    };
    constexpr const char* malformed = "malformed root store";
    EXPECT_EQ(refusal_of(changed(10, big_endian(0, 2))), malformed);       // without roots
    EXPECT_EQ(refusal_of(changed(10, big_endian(1, 2))), malformed);       // too few
    EXPECT_EQ(refusal_of(changed(10, big_endian(3, 2))), malformed);       // too many
    EXPECT_EQ(refusal_of(changed(10, big_endian(0xFFFF, 2))), malformed);  // far too many
    EXPECT_EQ(refusal_of(changed(48, store.substr(56, 4))), malformed);    // another hash
    EXPECT_EQ(refusal_of(changed(52, big_endian(65, 4))), malformed);      // another place
    EXPECT_EQ(refusal_of(changed(52, big_endian(~0U, 4))), malformed);
    constexpr std::size_t entry = 64;
    EXPECT_EQ(refusal_of(changed(entry, "\x06")), malformed);                // an unknown flag
    EXPECT_EQ(refusal_of(changed(entry, std::string(1, '\3'))), malformed);  // sizes that are off
    EXPECT_EQ(refusal_of(changed(entry + 1, std::string(1, '\0'))), malformed);
    EXPECT_EQ(refusal_of(changed(entry + 3, big_endian(0xFFFF, 2))), malformed);
    EXPECT_EQ(refusal_of(changed(entry + 9, big_endian(~std::uint64_t{0} >> 1, 8))), malformed);
    EXPECT_EQ(refusal_of(changed(entry + 25, "\x31")), malformed);  // the subject is a SET
    // The index is not sorted.
    std::string unsorted = store;
    std::swap_ranges(unsorted.begin() + 48, unsorted.begin() + 56, unsorted.begin() + 56);
    EXPECT_EQ(refusal_of(sealed(unsorted)), malformed);
}

}  // namespace
}  // namespace contract
