#pragma once

// The questions of a plain program, with any TLS library:
//
//   client QUESTION PORT SIZE SECONDS FOLDER
//
// All contestants take these arguments and do the same:
//
//   write, read               messages of SIZE bytes to and from the counterpart
//   bounce                    messages of SIZE bytes there and back
//   connect, accept           full handshakes, as client and as server
//   …-mutual, …-psk           the same with certificates on both sides, with a pre-shared key
//
// They print one line of JSON: how much (bytes, round trips or handshakes) in how many seconds, of
// which how many on the processor. And, with SIZE as the number of connections or contexts:
//
//   memory-idle               connections that have received a byte
//   memory-active             connections of whose 16 KB message one byte has been read
//   memory-context            clients' contexts with a root, each after one connection that is
//   closed
//
// these print by how many bytes each lets the process grow.

#include <csignal>
#include <memory>

#include "job.hpp"

namespace bench {

/// A library is
///   Context      made with the role; load_roots(folder), load_own(folder, who), use_psk()
///   Connection   of a context and a socket, open: socket, write(all of it), read(some of it),
///                say_goodbye(), negotiated()
///   version()
template <class Library>
class Client {
  public:
    static int run(int argc, char** argv) {
        signal(SIGPIPE, SIG_IGN);
        if (argc == 2 && std::string(argv[1]) == "version") {
            std::puts(Library::version());
            return 0;
        }
        return answer(
            argc, argv,
            {{"write", write_messages},
             {"read", read_messages},
             {"bounce", bounce_messages},
             {"connect", [](const Job& job) { connect_many(job, with_roots(job)); }},
             {"connect-mutual", [](const Job& job) { connect_many(job, mutual(job, "client")); }},
             {"connect-psk", [](const Job& job) { connect_many(job, with_psk(Role::client)); }},
             {"accept", [](const Job& job) { accept_many(job, with_own(job)); }},
             {"accept-mutual", [](const Job& job) { accept_many(job, mutual(job, "server")); }},
             {"accept-psk", [](const Job& job) { accept_many(job, with_psk(Role::server)); }},
             {"memory-idle", [](const Job& job) { hold(job, 1); }},
             {"memory-active", [](const Job& job) { hold(job, record); }},
             {"memory-context", hold_contexts}});
    }

  private:
    using Role = typename Library::Role;
    using Context = typename Library::Context;
    using Connection = typename Library::Connection;
    // A library may keep pointers to both.
    using HeldContext = std::unique_ptr<Context>;
    using Held = std::unique_ptr<Connection>;

    static constexpr int record = 16384;

    static HeldContext with_roots(const Job& job) {
        auto context = std::make_unique<Context>(Role::client);
        context->load_roots(job.folder);
        return context;
    }
    static HeldContext with_own(const Job& job) {
        auto context = std::make_unique<Context>(Role::server);
        context->load_own(job.folder, "server");
        return context;
    }
    static HeldContext mutual(const Job& job, const char* who) {
        auto context = std::make_unique<Context>(who[0] == 'c' ? Role::client : Role::server);
        context->load_own(job.folder, who);
        context->load_roots(job.folder);
        return context;
    }
    static HeldContext with_psk(Role role) {
        auto context = std::make_unique<Context>(role);
        context->use_psk();
        return context;
    }

    static Held connected(const HeldContext& context, const Job& job) {
        Socket socket = connect_to(job.port);
        need(static_cast<bool>(socket), "connect");
        return std::make_unique<Connection>(*context, std::move(socket));
    }
    /// Sends the question to the counterpart.
    static void command(const Held& connection, char what, int size) {
        const std::string text = what + (" " + std::to_string(size));
        connection->write(text.data(), static_cast<int>(text.size()));
    }

    /// Does `once`, which returns how much that was, until the time is over.
    static double repeat(const Stopwatch& watch, auto once) {
        double count = 0;
        do {
            count += once();
        } while (!watch.over());
        return count;
    }

    static void write_messages(const Job& job) {
        const HeldContext context = with_roots(job);
        const Held connection = connected(context, job);
        connection->write("w", 1);
        const std::vector<char> message(static_cast<std::size_t>(job.size));
        const int batch = batch_of(job.size);
        const Stopwatch watch(job.seconds);
        const double count = repeat(watch, [&] {
            for (int i = 0; i < batch; ++i)
                connection->write(message.data(), job.size);
            return static_cast<double>(batch) * job.size;
        });
        // Written data counts once it has arrived; Nagle's algorithm must not delay the last
        // byte.
        send_at_once(connection->socket);
        char byte = 1;
        connection->write(&byte, 1);
        connection->read(&byte, 1);
        watch.report(count, connection->negotiated());
    }

    static void read_messages(const Job& job) {
        const HeldContext context = with_roots(job);
        const Held connection = connected(context, job);
        command(connection, 'r', job.size);
        std::vector<char> message(static_cast<std::size_t>(job.size));
        connection->read(message.data(), job.size);
        const int batch = batch_of(job.size);
        const Stopwatch watch(job.seconds);
        const double count = repeat(watch, [&] {
            double bytes = 0;
            for (int i = 0; i < batch; ++i)
                bytes += connection->read(message.data(), job.size);
            return bytes;
        });
        watch.report(count, connection->negotiated());
    }

    static void bounce_messages(const Job& job) {
        const HeldContext context = with_roots(job);
        const Held connection = connected(context, job);
        send_at_once(connection->socket);
        std::vector<char> message(static_cast<std::size_t>(job.size));
        command(connection, 'b', job.size);
        connection->read(message.data(), 1);
        const Stopwatch watch(job.seconds);
        const double count = repeat(watch, [&] {
            connection->write(message.data(), job.size);
            need(connection->read(message.data(), job.size) == job.size, "round trip");
            return 1;
        });
        watch.report(count, connection->negotiated());
    }

    /// Connections that are made, closed politely and forgotten, one after the other.
    static void make_many(const Job& job, auto make) {
        const auto one = [&] {
            const Held connection = make();
            connection->say_goodbye();
            return connection->negotiated();
        };
        const std::string tls = one();  // the first one may have things to set up
        const Stopwatch watch(job.seconds);
        const double count = repeat(watch, [&] {
            one();
            return 1;
        });
        watch.report(count, tls);
    }
    static void connect_many(const Job& job, const HeldContext& context) {
        make_many(job, [&] { return connected(context, job); });
    }
    static void accept_many(const Job& job, const HeldContext& context) {
        const Socket listener = listen_on(job.port);
        std::puts("listening");
        std::fflush(stdout);
        make_many(job,
                  [&] { return std::make_unique<Connection>(*context, accept_from(listener)); });
    }

    static void hold(const Job& job, int message) {
        const HeldContext context = with_roots(job);
        report_memory(job.size, [&] {
            Held connection = connected(context, job);
            send_at_once(connection->socket);
            command(connection, 'h', message);
            char byte = 0;
            connection->read(&byte, 1);
            return connection;
        });
    }
    static void hold_contexts(const Job& job) {
        report_memory(job.size, [&] {
            HeldContext context = with_roots(job);
            connected(context, job);
            return context;
        });
    }
};

}  // namespace bench
