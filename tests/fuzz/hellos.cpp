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
};

/// The group that Mbed TLS offers a share of gets a number that nobody knows.
void hide_first_group(std::string& message) {
    using contract::Reader;
    constexpr std::size_t fixed = 2 + 32;
    Reader hello(std::string_view(message).substr(message_header));
    hello.bytes(fixed);
    hello.field(1);
    hello.field(2);
    hello.field(1);
    Reader extensions = hello.field(2);
    const auto hide = [&](std::string_view at) {
        const auto offset = static_cast<std::size_t>(at.data() - message.data());
        message.replace(offset, 2, "\x6a\x6a");
    };
    while (!extensions.done()) {
        const std::size_t type = extensions.number(2);
        Reader content = extensions.field(2);
        if (type == supported_groups)
            hide(content.field(2).rest());
        if (type == key_share)
            hide(content.field(2).rest());
    }
}

std::size_t edit(void* changes, mbedtls_ssl_context*, std::uint8_t record, std::uint8_t* at,
                 std::size_t size, std::size_t room) {
    auto& mine = *static_cast<Changes*>(changes);
    if (record != 22 || at[0] != client_hello)
        return size;
    std::string message(reinterpret_cast<const char*>(at), size);
    if (++mine.hellos == 1)
        hide_first_group(message);
    else
        mine.editor.next(message);
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
    }
    expect_same("a second hello to a server", verdicts[0], verdicts[1]);
}
