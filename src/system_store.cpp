#include "system_store.hpp"

#ifndef USSL_BOARD

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "text.hpp"

namespace ussl {
namespace {

struct Close {
    void operator()(std::FILE* file) const { (void)std::fclose(file); }
    void operator()(DIR* folder) const { closedir(folder); }
};

// Returns true for names such as "9d66eef0.0": the hash of a subject's name, and a number.
bool is_hash(std::string_view name) {
    constexpr std::size_t digits = 8;
    return name.size() > digits + 1 && name[digits] == '.' &&
           up_to(name, digits).find_first_not_of("0123456789abcdef") == name.npos &&
           from(name, digits + 1).find_first_not_of("0123456789") == name.npos;
}

// Returns the content of a file; empty: it is unreadable or empty. Returns nullopt if memory runs
// out.
std::optional<SecretBytes> content_of(const char* path) {
    constexpr long most = 64L << 20;
    const std::unique_ptr<std::FILE, Close> file{std::fopen(path, "rb")};
    if (!file || std::fseek(file.get(), 0, SEEK_END) != 0)
        return SecretBytes{};
    const long size = std::ftell(file.get());
    if (size <= 0 || size > most || std::fseek(file.get(), 0, SEEK_SET) != 0)
        return SecretBytes{};
    SecretBytes content(static_cast<std::size_t>(size));
    if (content.empty())
        return std::nullopt;
    if (std::fread(content.data(), 1, content.size(), file.get()) != content.size())
        return SecretBytes{};
    return content;
}

// Returns false if memory runs out.
bool read_folder(std::string_view folder, pem::Taker& taker, std::size_t& unsupported) {
    char path[4096];
    if (folder.empty() || folder.size() + 2 > sizeof path)
        return true;
    std::memcpy(path, folder.data(), folder.size());
    path[folder.size()] = '\0';
    const std::unique_ptr<DIR, Close> open{opendir(path)};
    path[folder.size()] = '/';
    // NOLINTNEXTLINE(concurrency-mt-unsafe): each thread has a folder handle of its own
    for (const dirent* entry = nullptr; open && (entry = readdir(open.get())) != nullptr;) {
        const std::string_view name = entry->d_name;
        if (!is_hash(name) || folder.size() + name.size() + 2 > sizeof path)
            continue;
        std::memcpy(path + folder.size() + 1, name.data(), name.size() + 1);
        if (read_store_file(path, taker, unsupported) == NamedStore::no_memory)
            return false;
    }
    return true;
}

}  // namespace

NamedStore read_store_file(const char* path, pem::Taker& taker, std::size_t& unsupported) {
    const std::optional<SecretBytes> content = content_of(path);
    if (!content)
        return NamedStore::no_memory;
    if (content->empty())
        return NamedStore::none;
    return pem::read_system({content->data(), content->size()}, taker, unsupported)
               ? NamedStore::read
               : NamedStore::no_memory;
}

bool folder_replaces_file(const char* folder, const char* file) {
    std::size_t hashed = 0;
    const std::unique_ptr<DIR, Close> open{opendir(folder)};
    // NOLINTNEXTLINE(concurrency-mt-unsafe): each thread has a folder handle of its own
    for (const dirent* entry = nullptr; open && (entry = readdir(open.get())) != nullptr;)
        hashed += is_hash(entry->d_name) ? 1U : 0U;
    const std::optional<SecretBytes> content = content_of(file);
    if (hashed == 0 || !content)
        return false;
    std::size_t listed = 0;
    const std::string_view text{reinterpret_cast<const char*>(content->data()), content->size()};
    constexpr std::string_view begin = "-----BEGIN";
    for (std::size_t at = 0; (at = text.find(begin, at)) != std::string_view::npos;
         at += begin.size())
        ++listed;
    return hashed >= listed;
}

NamedStore read_hashed(const char* folder, unsigned long hash, pem::Taker& taker,
                       std::size_t& unsupported) {
    char path[4096];
    NamedStore result = NamedStore::none;
    for (unsigned number = 0;; ++number) {
        const int size = std::snprintf(path, sizeof path, "%s/%08lx.%u", folder, hash, number);
        if (size < 0 || static_cast<std::size_t>(size) >= sizeof path)
            return result;
        const NamedStore file = read_store_file(path, taker, unsupported);
        if (file != NamedStore::read)
            return file == NamedStore::no_memory ? file : result;
        result = file;
    }
}

bool digest_folder(const char* folder, bool (*sha256)(std::span<const Bytes>, Sha256Digest),
                   Sha256Digest out) {
    std::ranges::fill(out, std::uint8_t{0});
    const std::unique_ptr<DIR, Close> open{opendir(folder)};
    const int number = open ? dirfd(open.get()) : -1;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): each thread has a folder handle of its own
    for (const dirent* entry = nullptr; number >= 0 && (entry = readdir(open.get())) != nullptr;) {
        struct stat status = {};
        if (fstatat(number, entry->d_name, &status, 0) != 0)
            continue;
        const std::int64_t facts[] = {status.st_size, status.st_mtim.tv_sec,
                                      status.st_mtim.tv_nsec};
        std::uint8_t hash[32];
        const Bytes parts[] = {pem::bytes_of(entry->d_name),
                               {reinterpret_cast<const std::uint8_t*>(facts), sizeof facts}};
        if (!sha256(std::span<const Bytes>(parts), Sha256Digest(hash)))
            return false;
        for (std::size_t i = 0; i < sizeof hash; ++i)
            out[i] ^= hash[i];
    }
    return true;
}

NamedStore read_named_store(pem::Taker& taker, std::size_t& unsupported) {
    // NOLINTBEGIN(concurrency-mt-unsafe): ussl does not change the environment
    const char* file = std::getenv("SSL_CERT_FILE");
    const char* folders = std::getenv("SSL_CERT_DIR");
    // NOLINTEND(concurrency-mt-unsafe)
    if (file == nullptr && folders == nullptr)
        return NamedStore::none;
    if (file != nullptr && read_store_file(file, taker, unsupported) == NamedStore::no_memory)
        return NamedStore::no_memory;
    for (std::string_view rest = folders != nullptr ? folders : ""; !rest.empty();) {
        const std::string_view folder = up_to(rest, rest.find(':'));
        if (!read_folder(folder, taker, unsupported))
            return NamedStore::no_memory;
        rest = from(rest, folder.size() + 1);
    }
    return NamedStore::read;
}

}  // namespace ussl

#endif
