// RAND_METHOD: a provider would be many times the code.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "fuzz.hpp"

#include <openssl/rand.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

std::uint64_t random_state;

void fill(unsigned char* into, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
        random_state = random_state * 6364136223846793005U + 1442695040888963407U;
        into[i] = static_cast<unsigned char>(random_state >> 56U);
    }
}

int fill_for_openssl(unsigned char* into, int size) {
    fill(into, static_cast<std::size_t>(size));
    return 1;
}

int is_seeded() {
    return 1;
}

}  // namespace

// In place of the kernel's, for Mbed TLS.
extern "C" int getentropy(void* into, size_t size) {
    fill(static_cast<unsigned char*>(into), size);
    return 0;
}

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    static const RAND_METHOD known = {nullptr, fill_for_openssl, nullptr,
                                      nullptr, fill_for_openssl, is_seeded};
    RAND_set_rand_method(&known);
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::forget_random();
    fuzz::Input input(data, size);
    fuzz::run(input);
    return 0;
}

namespace fuzz {

void forget_random() {
    random_state = 1;
}

void expect(bool good, std::string_view what) {
    if (good)
        return;
    std::fprintf(stderr, "\n== broken: %.*s\n", static_cast<int>(what.size()), what.data());
    std::abort();
}

void expect_explained(Connection& connection, MemoryCallbacks& callbacks) {
    const auto kind_of_read = [&] {
        std::uint8_t byte = 0;
        return connection.read(callbacks, {&byte, 1}).kind;
    };
    if (connection.closed()) {
        expect(kind_of_read() == Kind::closed, "a closed connection reads");
        return;
    }
    if (!connection.failed())
        return;
    const Error error = connection.error();
    const std::string text = describe(error);
    if (error.code != Code::stream)
        expect(!text.empty() && text.starts_with(ussl::name_of(error.code)),
               "an error without text");
    expect(error.code != Code::ENGINE && error.code != Code::NO_MEMORY, text);
    expect(kind_of_read() == Kind::failed && connection.error().code == error.code,
           "an error is forgotten: " + text);
    expect(connection.write(callbacks, bytes("x")).kind == Kind::failed, "writes after: " + text);
    for (const Direction direction : {Direction::read, Direction::write})
        expect(connection.poll_interest(direction) == ussl::PollInterest::nothing,
               "waits after: " + text);
    expect(!connection.handshake_done() || connection.version() != Version::none, "no version");
}

void converse(Connection& connection, MemoryCallbacks& callbacks, std::string_view words) {
    if (!connection.handshake_done())
        return;
    write_some(connection, callbacks, words);
    read_all(connection, callbacks);
}

ussl::Ref<Context> context_of(const ussl::Engine& engine, const Options& options) {
    using Key = std::pair<const ussl::Engine*, std::array<std::uint8_t, 32>>;
    // Never released: OpenSSL is unloaded earlier.
    static auto& made = *new std::map<Key, ussl::Ref<Context>>;
    Key key{&engine, {}};
    expect(ussl::options_digest(engine, options, key.second), "no digest");
    ussl::Ref<Context>& context = made[key];
    if (!context)
        if (auto fresh = Context::make(engine, options))
            context = std::move(*fresh);
    return context;
}

}  // namespace fuzz
