// The key exchange groups of this version of OpenSSL, and their order.

#include "../groups.hpp"

#include <algorithm>
#include <atomic>

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

// Writes "*A:B:C", where "*" requests a key share. OpenSSL before 3.5 does not support "*", and has
// none of the groups that need it: it sends a share of the first group.
void write_groups(std::span<const std::uint16_t> wanted, std::span<char, 256> into) {
    bool marks = groups::find(wanted.front())->needs_second_share;
    char* at = into.data();
    for (const std::uint16_t number : wanted) {
        const groups::Group& group = *groups::find(number);
        if (at != into.data())
            *at++ = ':';
        if (marks && (number == wanted.front() || !group.needs_second_share))
            *at++ = '*';
        marks = marks && group.needs_second_share;
        at = std::ranges::copy(group.name, at).out;
        // OpenSSL up to 3.1 only accepts these names with an upper case letter.
        if (group.name.starts_with('x'))
            at[-static_cast<std::ptrdiff_t>(group.name.size())] = 'X';
    }
    *at = '\0';
}

}  // namespace

std::optional<std::uint32_t> find_groups() {
    static std::atomic<std::uint32_t> known{0};
    std::uint32_t found = known.load(std::memory_order_relaxed);
    if (found != 0)
        return found;
    const SslCtx ctx{SSL_CTX_new(TLS_method())};
    for (std::size_t i = 0; ctx && i < std::size(groups::all); ++i) {
        char name[256];
        write_groups({&groups::all[i].number, 1}, name);
        if (SSL_CTX_set1_groups_list(ctx.get(), name) == 1)
            found |= std::uint32_t{1} << i;
    }
    if (take_lack_of_memory() || !ctx)
        return std::nullopt;
    known.store(found, std::memory_order_relaxed);
    return found;
}

bool OpenSslContext::set_up_groups(const Options& options) {
    std::uint16_t storage[max_groups];
    const std::span<const std::uint16_t> wanted = groups::of(openssl_engine, options, storage);
    if (wanted.empty())
        return false;
    char names[256];
    write_groups(wanted, names);
    return SSL_CTX_set1_groups_list(ctx_.get(), names) == 1;
}

}  // namespace ussl::openssl
