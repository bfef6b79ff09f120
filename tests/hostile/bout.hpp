#pragma once

// A conversation between one of ours and a rogue.

#include "rogue.hpp"

namespace rogue {

enum class Credentials : std::uint8_t { certificate, mutual, psk };

/// Who the victim is, and how the two know each other.
struct Setting {
    const ussl::Engine* engine;
    Role role;
    Version version;
    Credentials credentials;

    [[nodiscard]] Plan plan() const;
};
std::ostream& operator<<(std::ostream& out, const Setting& setting);
std::vector<Setting> all_settings();

class Bout {
  public:
    explicit Bout(const Setting& setting) : Bout(setting, setting.plan()) {}
    Bout(const Setting& setting, const Plan& plan);

    /// The handshake, as far as possible.
    void shake_hands();
    /// The data that the victim receives, until there is no more.
    std::string listen() { return read_all(*victim, callbacks, &ended); }
    /// The victim receives from its peer.
    bool tell();
    /// And the peer receives from the victim.
    bool talk();
    /// The victim's state: "open", "ended", "waits", or the row of its error.
    [[nodiscard]] std::string verdict() const;

    Ring to_peer, to_victim;
    Peer peer;
    MemoryCallbacks callbacks;
    ussl::Owned<Connection> victim;
    bool ended = false;
};

/// One test for each setting.
class Rogue : public testing::TestWithParam<Setting> {
  protected:
    static bool is_client() { return GetParam().role == Role::client; }
    static bool is_tls1_3() { return GetParam().version == Version::tls1_3; }
    static bool lacks(Lacks row) { return contract::lacks(GetParam().engine, row); }
};

#define INSTANTIATE_ROGUE(fixture)                                                 \
    INSTANTIATE_TEST_SUITE_P(Settings, fixture, testing::ValuesIn(all_settings()), \
                             testing::PrintToStringParamName())

}  // namespace rogue
