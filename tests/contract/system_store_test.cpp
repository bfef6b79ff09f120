// The look-up of names in the system's folder: OpenSSL's hash of a name, and the system's own
// store.

#include <openssl/sha.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "canonical_name.hpp"
#include "key.hpp"
#include "pem.hpp"
#include "system_store.hpp"
#include "variable.hpp"

namespace contract {
namespace {

constexpr const char* debian_store = "/etc/ssl/certs/ca-certificates.crt";

std::string der(unsigned tag, const std::string& content) {
    std::string header(1, static_cast<char>(tag));
    if (content.size() >= 256)
        header += {'\x82', static_cast<char>(content.size() >> 8)};
    else if (content.size() >= 128)
        header += '\x81';
    return header + static_cast<char>(content.size()) + content;
}

enum Type : std::uint8_t {
    bits = 0x03,
    octets = 0x04,
    utf8 = 0x0C,
    numeric = 0x12,
    printable = 0x13,
    t61 = 0x14,
    ia5 = 0x16,
    visible = 0x1A,
    universal = 0x1C,
    bmp = 0x1E,
};

std::string attribute(char kind, Type type, const std::string& value) {
    return der(0x30, der(6, {'\x55', '\x04', kind}) + der(type, value));
}
std::string common_name(Type type, const std::string& value) {
    return attribute(3, type, value);
}
std::string name_of(std::initializer_list<std::string> rdns) {
    std::string all;
    for (const std::string& rdn : rdns)
        all += der(0x31, rdn);
    return der(0x30, all);
}
std::string name_of(Type type, const std::string& value) {
    return name_of({common_name(type, value)});
}

/// For each byte one character of that many bytes.
std::string wide(const std::string& text, std::size_t width) {
    std::string made;
    for (const char c : text)
        made += std::string(width - 1, '\0') + c;
    return made;
}

std::optional<unsigned long> hash_of(const std::string& name) {
    std::string room(2 * name.size(), '\0');
    const auto canonical = ussl::canonical_name(
        bytes(name), {reinterpret_cast<std::uint8_t*>(room.data()), room.size()});
    if (!canonical)
        return std::nullopt;
    unsigned char sha1[SHA_DIGEST_LENGTH];
    SHA1(canonical->data(), canonical->size(), sha1);
    unsigned long hash = 0;
    for (int i = 3; i >= 0; --i)
        hash = hash << 8 | sha1[i];
    return hash;
}

std::optional<unsigned long> openssl_hash_of(const std::string& name) {
    const auto* at = reinterpret_cast<const unsigned char*>(name.data());
    X509_NAME* parsed = d2i_X509_NAME(nullptr, &at, static_cast<long>(name.size()));
    if (parsed == nullptr)
        return std::nullopt;
    int good = 0;
    const unsigned long hash = X509_NAME_hash_ex(parsed, nullptr, nullptr, &good);
    X509_NAME_free(parsed);
    return good != 0 ? std::optional(hash) : std::nullopt;
}

std::string in_hex(const std::string& name) {
    std::string made;
    for (const char c : name) {
        char digits[3];
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
        made += digits;
    }
    return made;
}

void expect_same_hash(const std::string& name) {
    const auto wanted = openssl_hash_of(name);
    ASSERT_TRUE(wanted) << in_hex(name);
    EXPECT_EQ(hash_of(name), wanted) << in_hex(name);
}

void expect_no_hash(const std::string& name) {
    EXPECT_EQ(hash_of(name), std::nullopt) << in_hex(name);
    EXPECT_EQ(openssl_hash_of(name), std::nullopt) << in_hex(name);
}

TEST(CanonicalName, HasTheHashOfOpenSsl) {
    const std::string texts[] = {"",
                                 "a",
                                 "Root CA",
                                 "ROOT ca",
                                 "  Root   CA ",
                                 " ",
                                 "   ",
                                 "\t\n\v\f\r Root\t\r\nCA\n",
                                 "@[`{AZaz09",
                                 std::string("a\0B \0", 5),
                                 "\x1F\x7F",
                                 std::string(120, 'A'),
                                 std::string(130, 'A'),
                                 std::string(300, ' ') + "x" + std::string(300, 'Y')};
    for (const std::string& text : texts) {
        for (const Type type : {utf8, printable, t61, ia5, numeric})
            expect_same_hash(name_of(type, text));
        expect_same_hash(name_of(bmp, wide(text, 2)));
        expect_same_hash(name_of(universal, wide(text, 4)));
    }
    // Texts of all types have the same form.
    EXPECT_EQ(hash_of(name_of(utf8, " Root  CA")), hash_of(name_of(bmp, wide("root ca", 2))));
    EXPECT_NE(hash_of(name_of(utf8, "Root CA")), hash_of(name_of(utf8, "RootCA")));
}

TEST(CanonicalName, KeepsCharactersThatAreNotAscii) {
    std::string latin;
    for (int c = 0x80; c < 0x100; ++c)
        latin += static_cast<char>(c);
    for (const Type type : {printable, t61, ia5})
        expect_same_hash(name_of(type, " \xC9 A" + latin));
    expect_same_hash(name_of(bmp, wide(latin, 2)));
    expect_same_hash(name_of(universal, wide(latin, 4)));
    expect_same_hash(name_of(utf8, " \xC3\x89  A\xC2\xA0 "));
    expect_same_hash(
        name_of(utf8, "\xE2\x82\xAC\xED\x9F\xBF\xEE\x80\x80\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"));
    EXPECT_EQ(hash_of(name_of(utf8, "\xC3\xA9")), hash_of(name_of(t61, "\xE9")));
    using namespace std::string_literals;
    expect_same_hash(name_of(bmp, "\x07\xFF\x08\x00\x20\xAC\xD7\xFF\xE0\x00\xFF\xFF"s));
    expect_same_hash(name_of(universal, "\0\0\x07\xFF\0\0\xFF\xFF\0\1\0\0\0\x10\xFF\xFF"s));
}

TEST(CanonicalName, HasSortedAttributes) {
    const std::string names[] = {common_name(utf8, "B"), common_name(printable, " a "),
                                 attribute(10, t61, "O"), attribute(11, utf8, "longer"),
                                 attribute(6, printable, "DE")};
    std::string set;
    for (const std::string& one : names) {
        set += one;
        expect_same_hash(name_of({set}));
    }
    std::size_t order[] = {0, 1, 2, 3, 4};
    do {
        std::string some;
        for (const std::size_t i : order)
            some += names[i];
        expect_same_hash(name_of({some, names[order[0]]}));
        EXPECT_EQ(hash_of(name_of({some})), hash_of(name_of({set})));
    } while (std::next_permutation(std::begin(order), std::end(order)));
    EXPECT_NE(hash_of(name_of({names[0], names[1]})), hash_of(name_of({names[1], names[0]})));
    expect_same_hash(name_of({}));
    expect_same_hash(name_of({names[0] + names[0]}));
}

TEST(CanonicalName, HasBitStringsUnchanged) {
    using namespace std::string_literals;
    for (const std::string& value : {"\0A"s, "\x04\xF0"s, "\x07\x80"s, "\0"s})
        expect_same_hash(name_of(bits, value));
    expect_no_hash(name_of(bits, ""));
    expect_no_hash(name_of(bits, "\x08\x00"s));
    // OpenSSL clears bits that must be zero.
    EXPECT_EQ(hash_of(name_of(bits, "\x04\xF8"s)), std::nullopt);
    EXPECT_EQ(hash_of(name_of(bits, "\x04"s)), std::nullopt);
}

TEST(CanonicalName, OfAMalformedNameIsMissing) {
    using namespace std::string_literals;
    expect_no_hash("");
    expect_no_hash(der(0x31, ""));
    expect_no_hash(der(0x30, common_name(utf8, "a")));
    expect_no_hash(name_of({der(0x30, der(6, "\x55\x04\x03"))}));
    expect_no_hash(name_of({der(0x30, der(utf8, "a"))}));
    expect_no_hash(name_of({der(0x30, der(6, "\x55\x04\x03") + der(utf8, "a") + der(utf8, "b"))}));
    expect_no_hash(name_of({der(0x31, common_name(utf8, "a"))}));
    for (const char* text : {"\x80", "\xC3", "\xC0\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80"})
        expect_no_hash(name_of(utf8, text));
    for (const std::string& text : {"a"s, "\0a\0"s, "\xD8\x00"s, "\xDF\xFF"s})
        expect_no_hash(name_of(bmp, text));
    for (const std::string& text : {"a"s, "\0\0a"s, "\0\0\xD8\0"s, "\0\x11\0\0"s, "\xFF\0\0\x41"s})
        expect_no_hash(name_of(universal, text));
    for (const Type type : {octets, visible})
        expect_no_hash(name_of(type, "a"));
    // OpenSSL accepts data after the name, and sets without attributes.
    EXPECT_EQ(hash_of(name_of({}) + "x"), std::nullopt);
    EXPECT_EQ(hash_of(name_of({""})), std::nullopt);
    const std::string good = name_of({common_name(utf8, "a"), common_name(bmp, wide("b", 2))});
    for (std::size_t size = 0; size < good.size(); ++size)
        expect_no_hash(good.substr(0, size));
}

TEST(CanonicalName, NeedsRoom) {
    const std::string names[] = {name_of({common_name(utf8, "A  b") + attribute(10, printable, "c"),
                                          attribute(3, bits, std::string("\0a", 2))}),
                                 name_of(t61, std::string(64, '\xFF')),
                                 name_of(t61, std::string(127, '\xFF')),
                                 name_of(t61, std::string(300, '\xFF'))};
    for (const std::string& name : names) {
        std::string room(2 * name.size(), '\0');
        auto* into = reinterpret_cast<std::uint8_t*>(room.data());
        const auto whole = ussl::canonical_name(bytes(name), {into, room.size()});
        ASSERT_TRUE(whole);
        const std::string wanted(whole->begin(), whole->end());
        for (std::size_t size = 0; size < wanted.size(); ++size)
            EXPECT_FALSE(ussl::canonical_name(bytes(name), {into, size})) << size;
        const auto again = ussl::canonical_name(bytes(name), {into, wanted.size()});
        ASSERT_TRUE(again);
        EXPECT_EQ(std::string(again->begin(), again->end()), wanted);
    }
}

using Certificates = std::vector<std::unique_ptr<X509, decltype(&X509_free)>>;

Certificates certificates_of(const std::string& path) {
    Certificates found;
    BIO* file = BIO_new_file(path.c_str(), "r");
    while (file != nullptr) {
        X509* one = PEM_read_bio_X509(file, nullptr, nullptr, nullptr);
        if (one == nullptr)
            break;
        found.emplace_back(one, X509_free);
    }
    BIO_free(file);
    return found;
}

std::string encoded(const X509_NAME* name) {
    const unsigned char* at = nullptr;
    std::size_t size = 0;
    EXPECT_EQ(X509_NAME_get0_der(name, &at, &size), 1);
    return {reinterpret_cast<const char*>(at), size};
}

TEST(CanonicalName, OfTheTestCertificates) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(getenv("USSL_CERTS")))
        if (entry.path().extension() == ".crt")
            for (const auto& one : certificates_of(entry.path())) {
                expect_same_hash(encoded(X509_get_subject_name(one.get())));
                ++count;
            }
    EXPECT_GT(count, 50U);
}

TEST(CanonicalName, OfTheSystemsRoots) {
    const Certificates roots = certificates_of(debian_store);
    if (roots.empty())
        GTEST_SKIP() << "no " << debian_store;
    for (const auto& root : roots) {
        expect_same_hash(encoded(X509_get_subject_name(root.get())));
        EXPECT_EQ(hash_of(encoded(X509_get_subject_name(root.get()))),
                  X509_subject_name_hash(root.get()));
    }
}

using SystemStore = EachPair;
INSTANTIATE_EACH_PAIR(SystemStore);

TEST_P(SystemStore, IsNamedByTheEnvironment) {
    const std::string folder = testing::TempDir() + "ussl-store";
    const auto write = [&](const std::string& name, const std::string& content) {
        std::ofstream(folder + "/" + name, std::ios::binary) << content;
        return folder + "/" + name;
    };
    ASSERT_EQ(std::system(("rm -rf '" + folder + "' && mkdir '" + folder + "'").c_str()), 0);
    const std::string file =
        write("roots.pem", "\xEF\xBB\xBF" + cert("ca.crt") + cert("unsupported-dsa.crt") +
                               cert("truncated.crt") + "\n" + cert("ca-rsa.crt"));
    write("0123abcd.0", cert("ca-other.crt"));
    write("0123abcd.r0", cert("ca.crl"));
    write("not-a-hash.pem", cert("ca-intermediate.crt"));
    const Variable no_file("SSL_CERT_FILE", "");
    const Variable no_folders("SSL_CERT_DIR", "");
    const auto stats = [] {
        const auto made = Context::make(*GetParam().client, {.system_store = true});
        EXPECT_TRUE(made.has_value());
        return made ? (*made)->store_stats() : ussl::StoreStats{};
    };
    {
        const Variable named("SSL_CERT_FILE", file);
        EXPECT_EQ(stats().certificates, 2U);
        EXPECT_EQ(stats().unsupported, 1U);
        const Variable folders("SSL_CERT_DIR", "/nowhere:" + folder);
        EXPECT_EQ(stats().certificates, 3U);
    }
    {
        const Variable folders("SSL_CERT_DIR", folder);
        EXPECT_EQ(stats().certificates, 1U);
        for (const char* name : {"server", "server-other"}) {
            Plan plan = with_certificate(name);
            plan.client_engine = GetParam().client;
            plan.server_engine = GetParam().server;
            plan.client.trusted.reset();
            plan.client.system_store = true;
            Pair pair(plan);
            EXPECT_EQ(pair.handshake(), name == std::string_view("server-other")) << name;
        }
    }
    {
        const Variable nothing("SSL_CERT_FILE", "/nowhere");
        EXPECT_EQ(stats().certificates, 0U);
    }
}

/// A certificate for server.key that names `issuer`, with a signature by that key.
std::string forged(const X509_NAME* issuer) {
    const Key key(cert("server.key"));
    X509* made = certificates_of(std::string(getenv("USSL_CERTS")) + "/server.crt")[0].release();
    X509_set_issuer_name(made, issuer);
    // The authority key identifier.
    const int at = X509_get_ext_by_NID(made, NID_authority_key_identifier, -1);
    if (at >= 0)
        X509_EXTENSION_free(X509_delete_ext(made, at));
    EXPECT_GT(X509_sign(made, key.pkey, EVP_sha256()), 0);
    BIO* out = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(out, made);
    X509_free(made);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(out);
    return pem;
}

// The error of an issuer that was found is the wrong signature.
TEST_P(SystemStore, HasTheIssuerOfACertificate) {
    const Certificates roots = certificates_of(debian_store);
    const auto root = std::ranges::find_if(roots, [](const auto& one) {
        return EVP_PKEY_get_base_id(X509_get0_pubkey(one.get())) == EVP_PKEY_EC;
    });
    if (root == roots.end())
        GTEST_SKIP() << "no root with an EC key in " << debian_store;
    const Variable no_file("SSL_CERT_FILE", "");
    const Variable no_folders("SSL_CERT_DIR", "");
    X509_NAME* unknown = X509_NAME_dup(X509_get_subject_name(root->get()));
    X509_NAME_add_entry_by_txt(unknown, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("x"), -1, -1, 0);
    for (const auto& [issuer, expected] :
         {std::pair<const X509_NAME*, Code>{X509_get_subject_name(root->get()),
                                            Code::CERT_BAD_SIGNATURE},
          std::pair<const X509_NAME*, Code>{unknown, Code::CERT_UNKNOWN_ISSUER}}) {
        const std::string certificate = forged(issuer);
        Plan plan = with_certificate();
        plan.client.trusted.reset();
        plan.client.system_store = true;
        plan.server.certificate = bytes(certificate);
        plan.client_engine = GetParam().client;
        plan.server_engine = GetParam().server;
        Pair pair(plan);
        EXPECT_FALSE(pair.handshake());
        EXPECT_EQ(pair.client->error().code, expected) << describe(pair.client->error());
    }
    X509_NAME_free(unknown);
}

// Names are looked up only when they are needed, but all certificates count.
TEST_P(SystemStore, IsCounted) {
    const Certificates roots = certificates_of(debian_store);
    if (roots.empty())
        GTEST_SKIP() << "no " << debian_store;
    const Variable no_file("SSL_CERT_FILE", "");
    const Variable no_folders("SSL_CERT_DIR", "");
    const std::string one_more = cert("ca.crt");
    const auto made =
        Context::make(*GetParam().client, {.trusted = bytes(one_more), .system_store = true});
    ASSERT_TRUE(made);
    const ussl::StoreStats stats = (*made)->store_stats();
    EXPECT_EQ(stats.certificates + stats.unsupported, roots.size() + 1);
    EXPECT_EQ(stats.crls, 0U);
}

TEST(SystemFolder, ReplacesAFileIfItHasAsManyCertificates) {
    const std::string folder = testing::TempDir() + "ussl-folder";
    ASSERT_EQ(std::system(("rm -rf '" + folder + "' && mkdir '" + folder + "'").c_str()), 0);
    const auto write = [&](const std::string& name, const std::string& content) {
        std::ofstream(folder + "/" + name, std::ios::binary) << content;
        return folder + "/" + name;
    };
    const std::string file = write("roots.pem", cert("ca.crt") + cert("ca-rsa.crt"));
    const auto replaces = [&](const std::string& path) {
        return ussl::folder_replaces_file(folder.c_str(), path.c_str());
    };
    EXPECT_FALSE(replaces("/nowhere"));
    write("0123abcd.0", cert("ca.crt"));
    EXPECT_TRUE(replaces("/nowhere"));
    EXPECT_FALSE(replaces(file));
    write("0123abcd.r0", cert("ca.crl"));
    write("0123abcdef.0", cert("ca-rsa.crt"));
    EXPECT_FALSE(replaces(file));
    write("0123abcd.1", cert("ca-rsa.crt"));
    EXPECT_TRUE(replaces(file));
    EXPECT_FALSE(ussl::folder_replaces_file("/nowhere", file.c_str()));

    struct Count final : ussl::pem::Taker {
        Taken certificate(Bytes) override {
            ++certificates;
            return Taken::yes;
        }
        Taken crl(Bytes) override { return Taken::malformed; }
        std::size_t certificates = 0;
    };
    Count count;
    std::size_t unsupported = 0;
    EXPECT_EQ(ussl::read_hashed(folder.c_str(), 0x0123abcd, count, unsupported),
              ussl::NamedStore::read);
    EXPECT_EQ(count.certificates, 2U);
    EXPECT_EQ(ussl::read_hashed(folder.c_str(), 0x123, count, unsupported), ussl::NamedStore::none);
    EXPECT_EQ(count.certificates, 2U);
}

}  // namespace
}  // namespace contract
