// The alerts that a rogue peer gets: it can read each of them.

#include "bout.hpp"

namespace rogue {
namespace {

class Alerts : public Rogue {
  protected:
    static constexpr std::uint8_t certificate = 11, certificate_verify = 15, finished = 20;

    /// The peer's message of this type is changed. Returns the alert, which both must call the
    /// same.
    static std::uint8_t answer(std::uint8_t type, const std::function<void(std::string&)>& change) {
        Bout bout(GetParam());
        bout.peer.script = [&](Peer&, Message& m) {
            if (m.record == handshake && m.type() == type)
                change(m.bytes);
        };
        bout.shake_hands();
        EXPECT_TRUE(bout.victim->failed());
        if (!bout.peer.open())
            bout.peer.step();
        if (bout.peer.open())
            bout.peer.read();
        const Error error = bout.victim->error();
        EXPECT_EQ(error.alert, Error::Alert::sent) << describe(error);
        const Error heard = bout.peer.failure();
        EXPECT_EQ(heard.alert, Error::Alert::received) << describe(heard);
        EXPECT_EQ(heard.alert_number, error.alert_number) << describe(heard) << describe(error);
        return heard.alert_number;
    }
    static void spoil_the_last_byte(std::string& bytes) {
        bytes.back() = static_cast<char>(bytes.back() ^ 1);
    }
    static constexpr std::uint8_t decrypt_error = 51;
};
INSTANTIATE_ROGUE(Alerts);

// In TLS 1.3, a server's has the keys of the application, because its own Finished has been sent
// (RFC 8446 appendix A.2).
TEST_P(Alerts, AboutAFinishedMessageReachThePeer) {
    EXPECT_EQ(answer(finished, spoil_the_last_byte), decrypt_error);
}

TEST_P(Alerts, AboutACertificateReachThePeer) {
    const bool has_certificate = GetParam().credentials == Credentials::mutual ||
                                 (is_client() && GetParam().credentials != Credentials::psk);
    if (!has_certificate)
        return;
    // Its signature is wrong.
    answer(certificate, [](std::string& bytes) {
        // Behind the certificate of TLS 1.3: the length of its extensions.
        std::string behind;
        if (is_tls1_3()) {
            behind = bytes.substr(bytes.size() - 2);
            bytes.resize(bytes.size() - 2);
        }
        spoil_the_last_byte(bytes);
        bytes += behind;
    });
    // It is not a certificate: header, in TLS 1.3 an empty context, and two lengths are before it.
    answer(certificate, [](std::string& bytes) { bytes[is_tls1_3() ? 11 : 10] = 0x31; });
    // It is another's. (A server of TLS 1.2 has no such message.)
    if (is_tls1_3() || !is_client()) {
        EXPECT_EQ(answer(certificate_verify, spoil_the_last_byte), decrypt_error);
    }
}

}  // namespace
}  // namespace rogue
