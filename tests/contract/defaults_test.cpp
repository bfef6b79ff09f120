// The defaults of docs/explanation/security.md, checked in the sent messages.

#include <algorithm>

#include "contract.hpp"
#include "reader.hpp"

namespace contract {
namespace {

/// A ClientHello or ServerHello (RFC 8446 §4.1.2, §4.1.3).
struct Hello {
    std::size_t version = 0;
    std::string session;
    Numbers suites;
    Numbers compression;
    std::map<std::size_t, std::string> extensions;

    /// Of the message that the ring holds first.
    explicit Hello(const Ring& ring, std::size_t type) {
        const std::string sent = ring.text();
        Reader record(sent);
        EXPECT_EQ(record.number(1), 22U);
        record.number(2);
        Reader message = record.field(2);
        EXPECT_EQ(message.number(1), type);
        Reader body = message.field(3);
        version = body.number(2);
        body.bytes(32);
        session = body.field(1).rest();
        const bool of_client = type == client;
        suites = of_client ? body.field(2).numbers(2) : Numbers{body.number(2)};
        compression = of_client ? body.field(1).numbers(1) : Numbers{body.number(1)};
        if (body.done())
            return;
        for (Reader all = body.field(2); !all.done();) {
            const std::size_t number = all.number(2);
            EXPECT_TRUE(extensions.emplace(number, all.field(2).rest()).second) << number;
        }
    }
    [[nodiscard]] Numbers extension_numbers() const {
        Numbers all;
        for (const auto& [number, content] : extensions)
            all.push_back(number);
        return all;
    }
    /// An extension that is a list of numbers, with its length in so many bytes in front.
    [[nodiscard]] Numbers list(std::size_t extension, std::size_t length, std::size_t size) const {
        const auto found = extensions.find(extension);
        return found == extensions.end() ? Numbers{}
                                         : Reader(found->second).field(length).numbers(size);
    }

    static constexpr std::size_t client = 1, server = 2;
};

Numbers sorted(Numbers numbers) {
    std::ranges::sort(numbers);
    return numbers;
}

// Extensions (IANA's registry), and their content.
constexpr std::size_t server_name = 0, max_fragment_length = 1, supported_groups = 10,
                      point_formats = 11, signature_algorithms = 13, encrypt_then_mac = 22,
                      extended_master_secret = 23, record_size_limit = 28, pre_shared_key = 41,
                      supported_versions = 43, key_exchange_modes = 45, key_share = 51,
                      renegotiation_info = 0xFF01;
constexpr std::size_t tls1_2 = 0x0303, tls1_3 = 0x0304, psk_dhe_ke = 1,
                      signals_secure_renegotiation = 0x00FF;

const Numbers suites_1_3 = {0x1301, 0x1303, 0x1302};
const Numbers suites_1_3_psk = {0x1301, 0x1303};
// ECDHE with AES-GCM, ChaCha20-Poly1305 or AES-CCM
const Numbers suites_1_2 = {0xC02B, 0xC02F, 0xCCA9, 0xCCA8, 0xC02C, 0xC030, 0xC0AC, 0xC0AD};
// ECDHE and DHE first, then those without forward secrecy
const Numbers suites_1_2_psk = {0xCCAC, 0x00AA, 0x00AB, 0xCCAD, 0x00A8,
                                0x00A9, 0xCCAB, 0xC0A4, 0xC0A5};

Numbers joined(Numbers first, const Numbers& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

class Defaults : public EachPair {
  protected:
    static bool is_openssl(const ussl::Engine* engine) { return engine == &ussl::openssl_engine; }
    static Hello client_hello(const Plan& made) {
        Pair pair(made);
        pair.client->handshake(pair.client_callbacks);
        return Hello(pair.to_server, Hello::client);
    }
    static Hello server_hello(const Plan& made) {
        Pair pair(made);
        pair.client->handshake(pair.client_callbacks);
        pair.server->handshake(pair.server_callbacks);
        return Hello(pair.to_client, Hello::server);
    }
};
INSTANTIATE_EACH_PAIR(Defaults);

TEST_P(Defaults, OfAClientAreWhatItOffers) {
    const bool openssl = is_openssl(GetParam().client);
    for (const bool psk : {false, true}) {
        SCOPED_TRACE(psk ? "with a key" : "with certificates");
        const Hello hello = client_hello(plan(psk ? with_psk() : with_certificate()));
        EXPECT_EQ(hello.version, tls1_2);  // RFC 8446 §4.1.2
        EXPECT_EQ(hello.list(supported_versions, 1, 2), (Numbers{tls1_3, tls1_2}));
        // RFC 5746 §3.4: signalled with a special suite value, or with an empty extension; not with
        // both.
        const auto renegotiation = hello.extensions.find(renegotiation_info);
        const bool by_extension = renegotiation != hello.extensions.end();
        EXPECT_TRUE(!by_extension || renegotiation->second == std::string_view("\0", 1));
        Numbers suites =
            psk ? joined(suites_1_3_psk, suites_1_2_psk) : joined(suites_1_3, suites_1_2);
        if (!by_extension)
            suites.push_back(signals_secure_renegotiation);
        EXPECT_EQ(hello.suites, suites);
        EXPECT_EQ(hello.compression, Numbers{0});
        const Numbers groups = hello.list(supported_groups, 2, 2);
        // X25519 first if OpenSSL computes it, P-256 if Mbed TLS does; and before them, where there
        // is one, the hybrid with ML-KEM.
        std::uint16_t defaults[ussl::max_groups];
        const std::size_t count = ussl::default_groups(*GetParam().client, defaults);
        EXPECT_EQ(groups, Numbers(defaults, defaults + count));
        Numbers classical = openssl ? Numbers{29, 23, 24, 25} : Numbers{23, 29, 24, 25};
        if (count == 5)
            classical.insert(classical.begin(), 0x11EC);
        EXPECT_EQ(groups, classical);
        // ECDSA, RSA-PSS and RSA with SHA-256 to SHA-512; of keys that are for RSA-PSS only, and
        // EdDSA.
        const Numbers everywhere = {0x0401, 0x0403, 0x0501, 0x0503, 0x0601,
                                    0x0603, 0x0804, 0x0805, 0x0806};
        EXPECT_EQ(
            sorted(hello.list(signature_algorithms, 2, 2)),
            openssl ? joined(everywhere, {0x0807, 0x0808, 0x0809, 0x080A, 0x080B}) : everywhere);
        // No use of a key without Diffie-Hellman.
        if (psk || openssl) {
            EXPECT_EQ(hello.list(key_exchange_modes, 1, 1), Numbers{psk_dhe_ke});
        }
        // Nothing that nobody has asked for: early data, heartbeats, tickets, OCSP, ...
        Numbers extensions = {supported_groups, point_formats,          signature_algorithms,
                              encrypt_then_mac, extended_master_secret, supported_versions,
                              key_share};
        if (psk || openssl)
            extensions.push_back(key_exchange_modes);
        extensions.push_back(psk ? pre_shared_key : server_name);
        if (!openssl)
            extensions.push_back(record_size_limit);
        if (by_extension)
            extensions.push_back(renegotiation_info);
        EXPECT_EQ(hello.extension_numbers(), sorted(extensions));
    }
}

// If the server name is an address, it is not sent (RFC 6066 §3).
TEST_P(Defaults, OfAClientKeepAnAddressToThemselves) {
    Plan made = plan(with_certificate());
    made.name = "127.0.0.1";
    const Hello hello = client_hello(made);
    EXPECT_FALSE(hello.extensions.contains(server_name));
    EXPECT_EQ(client_hello(plan(with_certificate())).extensions.at(server_name),
              std::string("\0\x0c\0\0\x09localhost", 14));
}

TEST_P(Defaults, OfAServerAreWhatItChooses) {
    for (const bool psk : {false, true}) {
        SCOPED_TRACE(psk ? "with a key" : "with certificates");
        Plan made = plan(psk ? with_psk() : with_certificate());
        const Hello newest = server_hello(made);
        EXPECT_EQ(newest.version, tls1_2);
        EXPECT_EQ(newest.suites, Numbers{0x1301});
        EXPECT_EQ(newest.compression, Numbers{0});
        EXPECT_EQ(newest.extensions.at(supported_versions), "\3\4");
        // A key share, with a pre-shared key as well.
        Numbers extensions = {supported_versions, key_share};
        if (psk)
            extensions.push_back(pre_shared_key);
        EXPECT_EQ(newest.extension_numbers(), sorted(extensions));

        // The server's order, not the client's; RFC 7627 and RFC 5746 where the version needs them.
        made.client.maximum_version = Version::tls1_2;
        Numbers reversed = psk ? suites_1_2_psk : suites_1_2;
        std::ranges::reverse(reversed);
        const std::vector<std::uint16_t> offered(reversed.begin(), reversed.end());
        made.client.suites = offered;
        const Hello older = server_hello(made);
        EXPECT_EQ(older.version, tls1_2);
        EXPECT_EQ(older.suites, Numbers{psk ? suites_1_2_psk.front() : suites_1_2.front()});
        EXPECT_EQ(older.compression, Numbers{0});
        EXPECT_TRUE(older.extensions.contains(extended_master_secret));
        EXPECT_TRUE(older.extensions.contains(renegotiation_info));
        EXPECT_FALSE(older.extensions.contains(max_fragment_length));
    }
}

}  // namespace
}  // namespace contract
