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
        bout.peer.host.on_sign = [&](auto scheme, Bytes digest, auto, MutableBytes into,
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

}  // namespace
}  // namespace rogue
