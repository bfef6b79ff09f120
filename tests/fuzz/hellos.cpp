// Second ClientHellos (RFC 8446 §4.1.2), changed before they enter the transcript, to servers of
// both engines: Mbed TLS sends them. Its first one names a group and a share that nobody has.

#include <algorithm>

#include "../contract/reader.hpp"
#include "../hostile/hooks.h"
#include "difference.hpp"

namespace {

constexpr char client_hello = 1;
constexpr std::size_t message_header = 4;
constexpr std::size_t supported_groups = 10, key_share = 51;

struct Changes {
    fuzz::Editor editor;
    int hellos = 0;
    bool only_groups = true;  // nothing was changed but the names of groups
};

/// The content of a list in an extension of a well-formed ClientHello.
std::string_view list_in(std::string_view message, std::size_t wanted) {
    using contract::Reader;
    constexpr std::size_t fixed = 2 + 32;
    Reader hello(message.substr(message_header));
    hello.bytes(fixed);
    hello.field(1);
    hello.field(2);
    hello.field(1);
    Reader extensions = hello.field(2);
    while (!extensions.done()) {
        const std::size_t type = extensions.number(2);
        Reader content = extensions.field(2);
        if (type == wanted)
            return content.field(2).rest();
    }
    return {};
}

/// The group that Mbed TLS offers a share of gets a number that nobody knows.
void hide_first_group(std::string& message) {
    for (const std::size_t extension : {supported_groups, key_share}) {
        const std::string_view list = list_in(message, extension);
        message.replace(static_cast<std::size_t>(list.data() - message.data()), 2, "\x6a\x6a");
    }
}

bool only_groups_differ(const std::string& meant, std::string message) {
    const std::string_view groups = list_in(meant, supported_groups);
    const auto at = static_cast<std::size_t>(groups.data() - meant.data());
    if (message.size() != meant.size())
        return false;
    message.replace(at, groups.size(), groups);
    return message == meant;
}

std::size_t edit(void* changes, mbedtls_ssl_context*, std::uint8_t record, std::uint8_t* at,
                 std::size_t size, std::size_t room) {
    auto& mine = *static_cast<Changes*>(changes);
    if (record != 22 || at[0] != client_hello)
        return size;
    std::string message(reinterpret_cast<const char*>(at), size);
    if (++mine.hellos == 1)
        hide_first_group(message);
    else {
        const std::string meant = message;
        mine.editor.next(message);
        mine.only_groups = only_groups_differ(meant, message);
    }
    return fuzz::put_message(message, at, room);
}

}  // namespace

void fuzz::run(Input& input) {
    Scene scene(input);
    scene.victim = Role::server;
    scene.plan = with_certificate();
    scene.plan.client.verify_time = today;
    // Otherwise Mbed TLS ignores unknown types of names, and the name of the second hello may
    // change.
    scene.plan.server.choose_by_name = true;
    scene.plan.client_engine = scene.plan.server_engine = &ussl::mbedtls_engine;
    only(scene.plan, Version::tls1_3);
    const Editor editor(input);
    std::string verdicts[2];
    bool only_groups = true;
    for (std::size_t i = 0; i < 2; ++i) {
        Changes mine{editor};
        verdicts[i] = scene.verdict(engines[i], [&](Ring&, bool before) {
            if (before)
                rogue_edit(edit, &mine);
            else
                rogue_edit(nullptr, nullptr);
        });
        expect(mine.hellos == 2, "the server did not ask for a second ClientHello");
        expect(mine.editor.changed() || verdicts[i] == "open",
               scene.where + (i ? " Mbed TLS" : " OpenSSL") +
                   ": no handshake without a change: " + verdicts[i]);
        if (verdicts[i] != "open")
            verdicts[i] = "not open";
        only_groups = only_groups && mine.only_groups;
    }
    expect_same(only_groups ? "a second hello with other groups" : "a second hello to a server",
                verdicts[0], verdicts[1]);
}
