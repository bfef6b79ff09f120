// Root stores, whole and changed: each engine makes the same of them, and of each root a
// certificate that can be read.

#include "../contract/roots.hpp"

#include "edit.hpp"
#include "root_store.hpp"

namespace fuzz {
namespace {

using contract::roots::big_endian;

Options options_with(const std::string& store) {
    Options options;
    options.root_stores = {bytes(store)};
    options.verify = Verify::required;
    return options;
}

std::string result_of(const ussl::Engine* engine, const std::string& store) {
    const auto made = Context::make(*engine, options_with(store));
    if (made)
        return {};
    expect(!made.error().out_of_memory, "no memory");
    return made.error().reason + (" " + std::to_string(made.error().offset));
}

// The places of the index, whose numbers are good.
std::vector<std::string> subjects_of(const std::string& store) {
    const auto number = [&](std::size_t at, int size) {
        std::size_t value = 0;
        for (int i = 0; i < size; ++i)
            value = value << 8 | static_cast<std::uint8_t>(store[at + static_cast<std::size_t>(i)]);
        return value;
    };
    std::vector<std::string> subjects;
    for (std::size_t row = 0; row < number(10, 2); ++row) {
        const std::size_t entry = number(52 + 8 * row, 4);
        const std::size_t begin = entry + 25 + ((store[entry] & 1) != 0 ? 8 : 0);
        subjects.push_back(store.substr(begin, number(entry + 3, 2)));
    }
    return subjects;
}

}  // namespace

void run(Input& input) {
    static const std::string whole = contract::roots::store_of(
        {contract::roots::entry_of("ca.crt"), contract::roots::entry_of("ca-rsa.crt"),
         contract::roots::entry_of("ca-other.crt")});
    const bool sealed = input.ConsumeBool();
    Editor editor(input);
    std::string store = whole;
    editor.next(store);
    // As tools/make_roots would have written it.
    if (sealed && store.size() >= 48)
        store = contract::roots::sealed(store.replace(12, 4, big_endian(store.size(), 4)));
    const std::string result = result_of(engines[0], store);
    expect(result == result_of(engines[1], store), "the engines differ");
    expect(sealed || (result.empty() == (store == whole)), "damage is found, and nothing else");
    if (!result.empty())
        return;
    const auto opened = ussl::RootStore::open(bytes(store), engines[0]->sha256);
    expect(opened.has_value(), "a store that an engine accepts");
    std::size_t found = 0;
    for (const std::string& subject : subjects_of(store))
        opened->for_each(bytes(subject), [&](const ussl::RootStore::Root& root) {
            const ussl::RootStore::Certificate made = ussl::RootStore::certificate(root);
            ussl::pem::Der der(made.der());
            expect(der.take(ussl::pem::Der::sequence).has_value() && der.at_end(),
                   "a certificate is one value");
            const auto again = opened->root_of(root.place, root.subject);
            expect(again && again->key.data() == root.key.data(), "a root by its place");
            ++found;
            return true;
        });
    expect(found >= opened->count(), "each root is found by its name");
    // A server whose root is changed fails, or not: nothing else happens.
    for (const ussl::Engine* engine : engines) {
        Plan plan = with_certificate();
        plan.client_engine = engine;
        plan.client.trusted.reset();
        plan.client.root_stores = {bytes(store)};
        plan.client.verify_time = today;
        Pair pair(plan);
        const bool done = pair.handshake();
        expect(!editor.changed() ? done : done == !pair.client->error(), "a result");
    }
}

}  // namespace fuzz
