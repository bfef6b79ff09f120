#pragma once

#include "edit.hpp"

namespace fuzz {

/// A real conversation, in which the input changes or replaces the data for `victim`, from a place
/// that the input selects.
inline void take_over(Input& input, Role victim, bool psk) {
    Plan plan = psk ? with_psk() : with_certificate();
    plan.client_engine = input.PickValueInArray(engines);
    plan.server_engine = input.PickValueInArray(engines);
    plan.client.verify_time = today;
    only(plan, input.PickValueInArray(versions));
    const bool mutual = input.ConsumeBool();
    const bool resumption = input.ConsumeBool();
    const bool protocols = input.ConsumeBool();
    if (mutual && !psk) {
        contract::mutual(plan);
        plan.server.verify = Verify::optional;
        plan.server.verify_time = today;
    }
    if (protocols)
        plan.client.alpn = plan.server.alpn = bytes("\2h2\x8http/1.1");
    if (input.ConsumeBool())
        plan.client.record_size_limit = 512;
    plan.client.resumption = plan.server.resumption = resumption;
    plan.server.choose_by_name = input.ConsumeBool();
    const bool ends = input.ConsumeBool();
    const auto most = input.ConsumeIntegralInRange<std::size_t>(1, 2000);
    if (!resumption) {
        plan.client_context = context_of(*plan.client_engine, plan.client);
        plan.server_context = context_of(*plan.server_engine, plan.server);
    }

    Pair pair(plan);
    const bool is_client = victim == Role::client;
    Connection& target = is_client ? *pair.client : *pair.server;
    Connection& peer = is_client ? *pair.server : *pair.client;
    MemoryCallbacks& target_host = is_client ? pair.client_callbacks : pair.server_callbacks;
    MemoryCallbacks& peer_host = is_client ? pair.server_callbacks : pair.client_callbacks;
    Editor editor(input);
    target_host.most = most;

    std::size_t edited = 0;
    const auto edit = [&] {
        editor.records(target_host.in, edited);
        edited = target_host.in.bytes.size();
    };
    const auto step = [&](bool talk) {
        peer.handshake(peer_host);
        if (talk)
            converse(peer, peer_host, "from the peer");
        edit();
        target.handshake(target_host);
        if (talk)
            converse(target, target_host, "from the target");
        edited = target_host.in.bytes.size();
    };
    for (int round = 0; round < 5; ++round)
        step(false);
    for (int round = 0; round < 3; ++round)
        step(true);
    if (!editor.changed()) {
        expect(target.handshake_done() && peer.handshake_done(), "no handshake without a change");
        expect(!target.failed() && !peer.failed(), "a failure without a change");
    }
    // An unverified peer might be anyone, but two open ends must have the same values.
    if (target.handshake_done() && peer.handshake_done())
        expect(target.version() == peer.version() && target.cipher().name == peer.cipher().name,
               "open, and not of one mind");
    target_host.in.closed = ends;
    read_all(target, target_host);
    expect_explained(target, target_host);
    expect_explained(peer, peer_host);
    if (target.handshake_done() && !target.failed())
        target.shutdown(target_host);
    expect_explained(target, target_host);
    target.close(target_host);
    expect_explained(target, target_host);
}

}  // namespace fuzz
