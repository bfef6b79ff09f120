// A peer that signs the handshake in a way that this version of TLS does not have.

#include "../contract/key.hpp"
#include "bout.hpp"

namespace rogue {
namespace {

class Signatures : public Rogue {};
INSTANTIATE_ROGUE(Signatures);

// RFC 8446 §4.4.3: rsa_pkcs1_sha256 is for certificates only, even if it was offered.
TEST_P(Signatures, WithPkcs1AreNotOfTls13) {
    const bool signs = is_client() ? GetParam().credentials != Credentials::psk
                                   : GetParam().credentials == Credentials::mutual;
    if (!is_tls1_3() || !signs)
        return;
    for (const bool forged : {false, true}) {
        Plan plan = GetParam().plan();
        Options& signer = is_client() ? plan.server : plan.client;
        const std::string name = is_client() ? "server-rsa" : "client-rsa";
        signer.certificate = bytes(cert(name + ".crt"));
        signer.key.reset();
        signer.sign_by_program = true;
        (is_client() ? plan.client : plan.server).trusted = bytes(cert("ca-all.crt"));
        Bout bout(GetParam(), plan);
        const Key key(cert(name + ".key"));
        bout.peer.callbacks.on_sign = [&](auto scheme, Bytes digest, auto, MutableBytes into,
                                          std::size_t& length) {
            return key.sign(forged ? ussl::SignatureScheme::rsa_pkcs1 : scheme, digest, into,
                            length);
        };
        bout.peer.script = [&](Peer&, Message& m) {
            constexpr std::uint8_t certificate_verify = 15;
            if (!forged || m.record != handshake || m.type() != certificate_verify)
                return;
            // rsa_pss_rsae_sha256, 384 and 512 are 0x0804 to 0x0806; rsa_pkcs1_…: 0x0401 to 0x0601.
            m.bytes[4] = m.bytes[5];
            m.bytes[5] = 1;
        };
        bout.shake_hands();
        bout.listen();
        EXPECT_EQ(bout.verdict(), forged ? "PROTOCOL" : "open");
    }
}

// RFC 5246 §7.4.4 and §7.4.8. Of the hashes, Mbed TLS has those of cipher suites: SHA-256 and
// SHA-384.
TEST_P(Signatures, OfAClientAreThoseThatTheServerAccepts) {
    if (!is_client() || is_tls1_3() || GetParam().credentials != Credentials::mutual)
        return;
    enum Hash : std::uint8_t { sha1 = 2, sha256 = 4, sha384 = 5, sha512 = 6 };
    struct Case {
        std::vector<Hash> accepted;
        int used;  ///< 0: there is none
    };
    const Case cases[] = {{{sha256}, sha256},
                          {{sha384}, sha384},
                          {{sha1, sha384}, sha384},
                          {{sha512, sha256}, sha256},
                          {{sha1}, 0}};
    for (const bool rsa : {false, true})
        for (const bool other_key : {false, true})
            for (const Case& c : cases) {
                if (other_key && c.used == 0)
                    continue;
                SCOPED_TRACE((rsa ? "rsa " : "ecdsa ") + std::to_string(c.accepted.size()) + " " +
                             std::to_string(c.used) + (other_key ? " of another key" : ""));
                Plan plan = GetParam().plan();
                const std::string name = rsa ? "client-rsa" : "client";
                plan.client.certificate = bytes(cert(name + ".crt"));
                plan.client.key = bytes(cert(name + ".key"));
                plan.server.trusted = bytes(cert("ca-all.crt"));
                if (other_key)
                    plan.server.verify = Verify::optional;
                Bout bout(GetParam(), plan);
                bout.peer.script = [&](Peer&, Message& m) {
                    constexpr std::uint8_t certificate_request = 13;
                    if (m.record != handshake || m.type() != certificate_request)
                        return;
                    std::string list;
                    for (const Hash hash : c.accepted) {
                        list += static_cast<char>(hash);
                        list += static_cast<char>(rsa != other_key ? 1 : 3);
                    }
                    // Header, types of certificates, signature algorithms, names.
                    const std::size_t types = 5 + static_cast<std::size_t>(m.bytes[4]);
                    const std::size_t names =
                        types + 2 + static_cast<std::uint8_t>(m.bytes[types + 1]);
                    std::string body = m.bytes.substr(4, types - 4);
                    body += {'\0', static_cast<char>(list.size())};
                    body += list + m.bytes.substr(names);
                    m.bytes = message(certificate_request, body);
                };
                bout.shake_hands();
                bout.listen();
                if (c.used == 0) {
                    EXPECT_EQ(bout.verdict(), "NO_SHARED_CIPHER");
                    EXPECT_EQ(bout.victim->error().alert, Error::Alert::received);
                    EXPECT_EQ(bout.peer.failure().code, Code::CERT_MISSING);
                    continue;
                }
                EXPECT_EQ(bout.verdict(), "open") << describe(bout.peer.failure());
                EXPECT_EQ(bout.peer.session().peer_certificate().empty(), other_key);
                EXPECT_TRUE(bout.talk());
            }
}

}  // namespace
}  // namespace rogue
