#include "bout.hpp"

namespace rogue {

Plan Setting::plan() const {
    Plan plan = credentials == Credentials::psk ? with_psk() : with_certificate();
    only(plan, version);
    // Connections that resume process tickets.
    plan.client.resumption = true;
    if (credentials == Credentials::mutual) {
        mutual(plan);
    }
    return plan;
}

std::ostream& operator<<(std::ostream& out, const Setting& setting) {
    static constexpr const char* credentials[] = {"certificate", "mutual", "psk"};
    return out << (setting.engine == &ussl::openssl_engine ? "openssl" : "mbedtls")
               << (setting.role == Role::client ? "_client" : "_server")
               << (setting.version == Version::tls1_2 ? "_1_2_" : "_1_3_")
               << credentials[static_cast<int>(setting.credentials)];
}

std::vector<Setting> all_settings() {
    std::vector<Setting> all;
    for (const ussl::Engine* engine : {&ussl::openssl_engine, &ussl::mbedtls_engine})
        for (const Role role : {Role::client, Role::server})
            for (const Version version : {Version::tls1_2, Version::tls1_3})
                for (const Credentials credentials :
                     {Credentials::certificate, Credentials::mutual, Credentials::psk})
                    all.push_back({engine, role, version, credentials});
    return all;
}

Bout::Bout(const Setting& setting, const Plan& plan)
    : peer(setting.role == Role::client ? plan.server : plan.client,
           setting.role == Role::client ? "" : plan.name, to_peer, to_victim),
      callbacks(to_victim, to_peer) {
    const Options& options = setting.role == Role::client ? plan.client : plan.server;
    ussl::Ref<Context> context =
        setting.role == Role::client ? plan.client_context : plan.server_context;
    if (!context)
        context = *Context::make(*setting.engine, options);
    Connection::Settings settings;
    settings.read_ahead = plan.read_ahead;
    if (setting.role == Role::client)
        settings.server_hostname = plan.name;
    victim = std::move(*Connection::make(context, settings));
    callbacks.keys = peer.callbacks.keys = plan.keys;
}

void Bout::shake_hands() {
    for (int round = 0; round < 8 && !victim->failed(); ++round) {
        peer.step();
        victim->handshake(callbacks);
    }
}

bool Bout::tell() {
    if (!peer.open() || victim->failed())
        return false;
    peer.write("from the peer");
    return listen() == "from the peer";
}

bool Bout::talk() {
    const std::string answer = "from the victim";
    return tell() && write_some(*victim, callbacks, answer) == answer.size() &&
           peer.read() == answer;
}

std::string Bout::verdict() const {
    if (victim->failed())
        return std::string(ussl::name_of(victim->error().code));
    if (!victim->handshake_done())
        return "waits";
    return ended ? "ended" : "open";
}

}  // namespace rogue
