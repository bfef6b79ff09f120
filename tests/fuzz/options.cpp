// Options that are lists and names: the engines are of one mind about them, and so is the C library
// about addresses.

#include <arpa/inet.h>

#include "../../src/policy/suites.hpp"
#include "fuzz.hpp"

namespace fuzz {
namespace {

void host_names(Input& input) {
    const std::string pattern = input.ConsumeRandomLengthString(300);
    const std::string text = input.ConsumeRemainingBytesAsString();
    ussl::HostName name;
    const bool parsed = name.parse(text);
    std::uint8_t address[16];
    const bool has_nul = text.find('\0') != std::string::npos;
    std::size_t size = 0;
    if (!has_nul && inet_pton(AF_INET, text.c_str(), address) == 1)
        size = 4;
    else if (!has_nul && inet_pton(AF_INET6, text.c_str(), address) == 1)
        size = 16;
    expect(!parsed || name.is_address() == (size != 0), "an address to one, and not to the other");
    if (size != 0)
        expect(parsed && std::equal(address, address + size, name.address().begin(),
                                    name.address().end()),
               "another address");
    if (!parsed)
        return;
    ussl::HostNameCheck check(name);
    check.alternative_dns(pattern);
    check.alternative_address(bytes(pattern));
    // A name matches itself, with or without a final dot, and a wildcard with the same number of
    // labels.
    if (check.matches() && !name.is_address())
        expect(pattern.size() <= name.dns().size() + 1 &&
                   (pattern.starts_with("*.") ? pattern.size() > 2
                                              : pattern.size() >= name.dns().size()),
               "an odd match");
    ussl::HostNameCheck itself(name);
    itself.alternative_dns(name.dns());
    itself.alternative_address(name.address());
    expect(itself.matches(), "a name does not fit itself");
}

void suites(Input& input) {
    const std::string text = input.ConsumeRemainingBytesAsString();
    for (const ussl::Engine* engine : engines) {
        std::uint16_t parsed[ussl::max_suites];
        std::string_view unknown;
        const std::size_t count = ussl::parse_suites(*engine, text, parsed, unknown);
        expect(count <= ussl::max_suites, "more suites than fit");
        if (count == 0)
            expect(unknown.empty() || text.find(unknown) != std::string::npos,
                   "an unknown suite that nobody named");
        for (const std::uint16_t suite : std::span(parsed, count))
            expect(std::ranges::find(ussl::policy::every_suite, suite) !=
                       ussl::policy::every_suite.end(),
                   "a suite out of nowhere");
    }
}

Options options_of(Input& input, std::string (&held)[6], std::vector<std::uint16_t>& numbers) {
    Options options = input.ConsumeBool() ? with_psk().client : with_certificate().client;
    const auto take = [&](std::optional<Bytes>& option, std::string& into) {
        if (!input.ConsumeBool())
            return;
        into = input.ConsumeRandomLengthString(300);
        option = bytes(into);
    };
    options.role = input.ConsumeBool() ? Role::server : Role::client;
    options.psk_server = input.ConsumeBool();
    options.verify = static_cast<Verify>(input.ConsumeIntegralInRange(0, 4));
    options.check_hostname = input.ConsumeBool();
    options.minimum_version = static_cast<Version>(input.ConsumeIntegralInRange(0x302, 0x305));
    options.maximum_version = static_cast<Version>(input.ConsumeIntegralInRange(0x302, 0x305));
    options.resumption = input.ConsumeBool();
    options.tickets = input.ConsumeIntegral<std::uint8_t>();
    options.choose_by_name = input.ConsumeBool();
    if (input.ConsumeBool())
        options.record_size_limit = input.ConsumeIntegralInRange<std::size_t>(500, 20000);
    if (input.ConsumeBool()) {
        for (auto left = input.ConsumeIntegralInRange(0, 80); left > 0; --left)
            numbers.push_back(input.ConsumeBool()
                                  ? input.PickValueInArray(ussl::policy::every_suite)
                                  : input.ConsumeIntegral<std::uint16_t>());
        options.suites = numbers;
    }
    take(options.alpn, held[0]);
    take(options.pins, held[1]);
    take(options.psk_identity, held[2]);
    take(options.psk_key, held[3]);
    take(options.psk_hint, held[4]);
    take(options.key_password, held[5]);
    return options;
}

void option_sets(Input& input) {
    std::string held[6];
    std::vector<std::uint16_t> numbers;
    const Options options = options_of(input, held, numbers);
    const std::string name = input.ConsumeRemainingBytesAsString();
    const char* reasons[2] = {};
    for (std::size_t i = 0; i < 2; ++i) {
        auto context = Context::make(*engines[i], options);
        if (!context) {
            reasons[i] = context.error().reason;
            continue;
        }
        auto connection = Connection::make(*context, {.server_hostname = name});
        if (!connection) {
            reasons[i] = connection.error().reason;
            continue;
        }
        Ring in;
        Ring out;
        MemoryCallbacks callbacks(in, out);
        in.closed = true;
        (*connection)->handshake(callbacks);
        expect((*connection)->failed(), "a handshake with nobody");
        expect_explained(**connection, callbacks);
    }
    const auto text = [](const char* reason) { return std::string(reason ? reason : "accepted"); };
    expect(text(reasons[0]) == text(reasons[1]), text(reasons[0]) + " | " + text(reasons[1]));
}

}  // namespace

void run(Input& input) {
    switch (input.ConsumeIntegralInRange(0, 3)) {
        case 0:
            return host_names(input);
        case 1:
            return suites(input);
        default:
            return option_sets(input);
    }
}

}  // namespace fuzz
