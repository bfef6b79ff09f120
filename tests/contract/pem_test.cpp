// Keys and certificates in files: every variant of PEM, unsupported algorithms, and other kinds of
// files.

#include <algorithm>

#include "contract.hpp"
#include "pem.hpp"
#include "ussl/certificate.hpp"

namespace contract {
namespace {

using ussl::ConfigError;
using ussl::StoreStats;

class Files : public testing::TestWithParam<const ussl::Engine*> {
  protected:
    static const ussl::Engine& engine() { return *GetParam(); }
    /// The fault of options; empty if there is none.
    static std::string refusal_of(const Options& options, std::string_view argument = "",
                                  std::string_view file = "") {
        const auto made = Context::make(engine(), options);
        if (made)
            return {};
        char text[512];
        return {text, describe(made.error(), argument, file, text)};
    }
    static std::string refusal_of_trusted(std::string_view content) {
        return refusal_of({.trusted = bytes(content)}, "ca_certs");
    }
    static std::string refusal_of_key(std::string_view content,
                                      std::optional<std::string_view> password = "secret") {
        Options options{
            .role = Role::server, .key = bytes(content), .certificate = bytes(cert("server.crt"))};
        if (password)
            options.key_password = bytes(*password);
        return refusal_of(options, "keyfile");
    }
    static StoreStats stats_of(std::string_view content) {
        const auto made = Context::make(engine(), {.trusted = bytes(content)});
        EXPECT_TRUE(made.has_value()) << content.substr(0, 60) << made.error().reason;
        return made ? (*made)->store_stats() : StoreStats{};
    }
    static std::size_t count_of(std::string_view content) { return stats_of(content).certificates; }
};
INSTANTIATE_TEST_SUITE_P(Engines, Files,
                         testing::Values(&ussl::openssl_engine, &ussl::mbedtls_engine));

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
        text.replace(at, from.size(), to);
    return text;
}

std::string lines_ending(const std::string& text, std::string_view end) {
    return replaced(text, "\n", end);
}

std::string labelled(const std::string& pem, std::string_view label) {
    return replaced(pem, " CERTIFICATE-----", " " + std::string(label) + "-----");
}

std::string base64(std::string_view data) {
    static constexpr char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < data.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, data.size() - at);
        unsigned group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = group << 8 | (i < count ? static_cast<unsigned char>(data[at + i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            text += i <= count ? digits[group >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

std::string pem(std::string_view label, std::string_view der) {
    return "-----BEGIN " + std::string(label) + "-----\n" + base64(der) + "\n-----END " +
           std::string(label) + "-----\n";
}

// The auxiliary data of OpenSSL's TRUSTED CERTIFICATE behind the certificate.
std::string trusted_pem(std::string_view auxiliary) {
    return pem("TRUSTED CERTIFICATE", cert("ca.der") + std::string(auxiliary));
}

TEST_P(Files, EveryVariantOfPemIsRead) {
    const std::string ca = cert("ca.crt");
    const std::string other = cert("ca-rsa.crt");
    const std::string_view bom = "\xEF\xBB\xBF";
    std::string unfinished = ca;
    unfinished.pop_back();
    const std::string on_one_line = replaced(ca + other, "\n", "");
    EXPECT_EQ(count_of(std::string(bom) + ca), 1U);
    EXPECT_EQ(count_of(ca + std::string(bom) + other), 2U);
    EXPECT_EQ(count_of("\n\n \t\n" + ca + other), 2U);
    EXPECT_EQ(count_of(unfinished + other), 2U);  // -----END …----------BEGIN …-----
    for (const std::string_view end : {"\r\n", "\r", " \n", "\t \r\n", "\n    ", "\n\t", "\n\n"})
        EXPECT_EQ(count_of(lines_ending(ca + other, end)), 2U) << base64(end);
    EXPECT_EQ(count_of("    " + lines_ending(ca + other, "\n    ")), 2U);
    EXPECT_EQ(count_of(on_one_line), 2U);
    EXPECT_EQ(count_of(labelled(ca, "X509 CERTIFICATE") + other), 2U);
    EXPECT_EQ(count_of("Bag Attributes\n    localKeyID: 54 69\n    friendlyName: x\nKey "
                       "Attributes: <No Attributes>\nsubject=CN = x\n\n" +
                       ca + "Bag Attributes: <Empty Attributes>\n" + other),
              2U);
    EXPECT_EQ(count_of(ca + "# caf\xC3\xA9 \xE9\n" + other), 2U);
    EXPECT_EQ(count_of(ca + cert("server.key") + cert("server-public.pem") + other), 2U);
    EXPECT_EQ(count_of(ca + cert("server.key") + cert("ca-rsa.der")), 2U);
    EXPECT_EQ(count_of(ca + other + cert("ca-rsa.der") + ca), 2U);  // each once
    EXPECT_EQ(count_of(cert("ca-rsa.der") + "# text\n" + ca), 2U);
    EXPECT_EQ(count_of(ca + std::string(1, '\0')), 1U);
    // A certificate that somebody has made a comment of is text.
    EXPECT_EQ(count_of("#" + lines_ending(other, "\n#") + "\n" + ca), 1U);
}

TEST_P(Files, TheSameVariantsAreReadOfOnesOwn) {
    const std::string key = cert("server.key");
    const std::string certificate = cert("server.crt");
    const auto server = [](const std::string& of_key, const std::string& of_certificate) {
        return refusal_of(
            {.role = Role::server, .key = bytes(of_key), .certificate = bytes(of_certificate)});
    };
    std::string joined = certificate;
    joined.pop_back();
    joined += key;
    EXPECT_EQ(server(joined, joined), "");
    for (const std::string_view end : {"\r\n", "\r", " \t\n", "\n  ", "\n\n"})
        EXPECT_EQ(server(lines_ending(key, end), lines_ending(certificate, end)), "")
            << base64(end);
    EXPECT_EQ(server("\xEF\xBB\xBF" + key, "\xEF\xBB\xBF" + certificate), "");
    EXPECT_EQ(server(key, labelled(certificate, "TRUSTED CERTIFICATE")), "");
    // Encrypted keys, too.
    const std::string encrypted = cert("encrypted-old-aes-128.pem");
    EXPECT_EQ(refusal_of_key(lines_ending(encrypted, "\r\n")), "");
    EXPECT_EQ(refusal_of_key("text\n" + lines_ending(encrypted, " \n")), "");
}

TEST_P(Files, MalformedContentIsNamedWithItsPlace) {
    const std::string ca = cert("ca.crt");
    const auto lines = static_cast<std::size_t>(std::count(ca.begin(), ca.end(), '\n'));
    const std::string place = "ca_certs, line " + std::to_string(lines + 1) + ": invalid cert";
    const auto starts = [](const std::string& text, const std::string& with) {
        EXPECT_TRUE(text.starts_with(with)) << text << " / " << with;
    };
    const std::string half = cert("truncated.crt");
    starts(refusal_of_trusted(ca + half), place + ": the PEM is malformed");
    starts(refusal_of_trusted(ca + half + "\n" + ca), place + ": the PEM is malformed");
    starts(refusal_of_trusted(ca + replaced(ca, "M", "*")), place + ": the PEM is malformed");
    starts(refusal_of_trusted(ca + replaced(ca, "-----END CERTIFICATE", "-----END CERTIFICAT")),
           place + ": the PEM is malformed");
    starts(refusal_of_trusted(ca + pem("CERTIFICATE", cert("ca.der") + "x")), place);
    starts(refusal_of_trusted(ca + pem("CERTIFICATE", cert("ca.der").substr(0, 100))), place);
    starts(refusal_of_trusted(
               ca + pem("CERTIFICATE", replaced(cert("ca.der"), "test root", "test roo\xFF"))),
           place);
    starts(refusal_of_trusted(ca + "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"),
           place);
    for (const char* bad : {"QQ=", "Q===", "QQ=Q", "QQ==QQ==", "=", "====", "QQQQQ"})
        starts(refusal_of_trusted(ca + "-----BEGIN CERTIFICATE-----\n" + bad +
                                  "\n-----END CERTIFICATE-----\n"),
               place + ": the PEM is malformed");
    // The beginning is missing, or mangled.
    starts(refusal_of_trusted(ca + replaced(ca, "-----BEGIN", "----BEGIN")),
           "ca_certs, line " + std::to_string(2 * lines) + ": invalid cert");
    // DER: the byte.
    starts(refusal_of_trusted(cert("ca.der") + cert("ca.der").substr(0, 50)),
           "ca_certs, byte " + std::to_string(cert("ca.der").size()) + ": invalid cert");
    EXPECT_EQ(refusal_of({.trusted = bytes(half)}, "ca_certs", "roots.pem"),
              "ca_certs 'roots.pem', line 1: invalid cert: the PEM is malformed");
    starts(refusal_of_key("text\n" + cert("truncated.key")),
           "keyfile, line 2: invalid key: the PEM is malformed");
}

TEST_P(Files, TrustSettingsAreNotPassedOver) {
    EXPECT_EQ(count_of(trusted_pem("")), 1U);
    EXPECT_EQ(count_of(trusted_pem({"\x30\x00", 2})), 1U);
    EXPECT_EQ(count_of(trusted_pem("\x30\x03\x0C\x01x")), 1U);  // a name
    // Trusted for something, and rejected for something.
    for (const std::string_view settings :
         {std::string_view("\x30\x0C\x30\x0A\x06\x08\x2B\x06\x01\x05\x05\x07\x03\x01"),
          std::string_view("\x30\x0C\xA0\x0A\x06\x08\x2B\x06\x01\x05\x05\x07\x03\x04"),
          std::string_view("\x30\x03garbage")}) {
        const StoreStats stats = stats_of(cert("ca-rsa.crt") + trusted_pem(settings));
        EXPECT_EQ(stats.certificates, 1U);
        EXPECT_EQ(stats.unsupported, 1U);
        const std::string text = refusal_of_trusted(trusted_pem(settings));
        EXPECT_NE(text.find("TRUSTED CERTIFICATE"), std::string::npos) << text;
        EXPECT_NE(text.find("openssl x509 -in FILE"), std::string::npos) << text;
    }
}

TEST_P(Files, UnsupportedCertificatesAreCountedAndTheOthersLoaded) {
    std::string all = cert("ca.crt");
    std::size_t count = 0;
    for (const char* name :
         {"unsupported-dsa.crt", "unsupported-brainpool.crt", "unsupported-secp256k1.crt"}) {
        const StoreStats stats = stats_of(cert(name) + cert("ca.crt"));
        EXPECT_EQ(stats.certificates, 1U) << name;
        EXPECT_EQ(stats.unsupported, 1U) << name;
        EXPECT_EQ(refusal_of_trusted(cert(name)),
                  "ca_certs, line 1: unsupported cert: this engine does not have its algorithm");
        EXPECT_NE(refusal_of_trusted(cert(name) + cert("ca.crl")), "");
        all += cert(name);
        ++count;
    }
    const StoreStats stats = stats_of(all + cert("ca-ed25519.crt") + cert("ca-rsa.crt"));
    const bool lacks_eddsa = lacks(&engine(), Lacks::eddsa);
    EXPECT_EQ(stats.unsupported, count + (lacks_eddsa ? 1 : 0));
    EXPECT_EQ(stats.certificates, lacks_eddsa ? 2U : 3U);
}

TEST_P(Files, EveryEncryptionOfAKeyIsDecrypted) {
    for (const char* name :
         {"encrypted-sha1-3des.der", "encrypted-sha224-aes-128.der", "encrypted-sha384-aes-192.der",
          "encrypted-sha512-aes-256.der", "encrypted-pkcs12.der", "encrypted-old-aes-128.pem",
          "encrypted-old-aes-192.pem", "encrypted-old-aes-256.pem", "encrypted-old-3des.pem"}) {
        constexpr char wrong[] = "invalid key: `key_password` is missing or wrong";
        EXPECT_EQ(refusal_of_key(cert(name)), "") << name;
        EXPECT_EQ(refusal_of_key(cert(name), "wrong"), wrong) << name;
        EXPECT_EQ(refusal_of_key(cert(name), std::nullopt), wrong) << name;
        const std::string_view file = name;
        if (file.ends_with(".der")) {
            EXPECT_EQ(refusal_of_key(pem("ENCRYPTED PRIVATE KEY", cert(name))), "") << name;
        }
    }
}

// A password that is right is never called wrong.
TEST_P(Files, UnsupportedEncryptionIsNamed) {
    const std::pair<const char*, std::string> cases[] = {
        {"encrypted-md5-des.der", "PBE-MD5-DES"},
        {"encrypted-old-des.pem", "DES-CBC"},
        {"encrypted-unknown.der", "1.2.3.4"},
    };
    for (const auto& [name, algorithm] : cases)
        EXPECT_EQ(refusal_of_key(cert(name)), "unsupported key encryption: " + algorithm) << name;
    if (lacks(&engine(), Lacks::scrypt)) {
        EXPECT_EQ(refusal_of_key(cert("encrypted-scrypt.der")),
                  "unsupported key encryption: scrypt");
        EXPECT_TRUE(refusal_of_key(cert("encrypted-pkcs12-not-ascii.der"), "caf\xC3\xA9")
                        .starts_with("unsupported `key_password`"));
    } else {
        EXPECT_EQ(refusal_of_key(cert("encrypted-scrypt.der")), "");
        EXPECT_TRUE(
            refusal_of_key(cert("encrypted-scrypt.der"), "wrong").starts_with("invalid key"));
        EXPECT_EQ(refusal_of_key(cert("encrypted-pkcs12-not-ascii.der"), "caf\xC3\xA9"), "");
    }
    const std::string of_eddsa = refusal_of_key(cert("encrypted-ed25519.der"));
    EXPECT_EQ(of_eddsa, lacks(&engine(), Lacks::eddsa)
                            ? "unsupported key: this engine cannot sign TLS with it"
                            : "`key` and `certificate` do not match");
}

TEST_P(Files, ThatAreSomethingElseAreRecognised) {
    std::string utf16 = "\xFF\xFE";
    const std::string key = cert("server.key");
    for (const char c : key)
        utf16 += {c, '\0'};
    const struct {
        std::string content;
        std::string_view looks_like, command;
    } cases[] = {
        {cert("other.p12"), "PKCS#12", "openssl pkcs12 -nodes -in FILE"},
        {std::string("\xFE\xED\xFE\xED\0\0\0\2", 8), "Java key store", "openssl pkcs12"},
        {cert("other.p7b"), "PKCS#7", "openssl pkcs7 -inform DER -print_certs -in FILE"},
        {pem("PKCS7", cert("other.p7b")), "PKCS#7", "openssl pkcs7 -print_certs -in FILE"},
        {cert("other.csr.der"), "certificate request", "openssl x509 -req -inform DER"},
        {pem("CERTIFICATE REQUEST", cert("other.csr.der")), "certificate request",
         "openssl x509 -req"},
        {pem("NEW CERTIFICATE REQUEST", cert("other.csr.der")), "certificate request",
         "openssl x509 -req"},
        {pem("OPENSSH PRIVATE KEY", "openssh-key-v1"), "OpenSSH", "ssh-keygen -p -m PEM -f FILE"},
        {"ssh-ed25519 AAAA me@here\n", "OpenSSH", ""},
        {"\n<!DOCTYPE html>\n<html>", "HTML", ""},
        {utf16, "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"},
    };
    for (const auto& c : cases)
        for (const std::string& text : {refusal_of_key(c.content), refusal_of_trusted(c.content)}) {
            EXPECT_NE(text.find(": invalid "), std::string::npos) << text;
            EXPECT_NE(text.find("this looks like"), std::string::npos) << text;
            EXPECT_NE(text.find(c.looks_like), std::string::npos) << text;
            EXPECT_NE(text.find(c.command), std::string::npos) << text;
        }
    for (const char* name : {"server.crt", "server.der"}) {
        const std::string text = refusal_of_key(cert(name));
        EXPECT_NE(text.find("looks like a certificate: are the two files swapped?"),
                  std::string::npos)
            << text;
    }
    for (const char* name : {"server.key", "server-ec.der", "server-pkcs8.der",
                             "server-encrypted.der", "server-rsa-rsa.der"}) {
        const std::string text = refusal_of_trusted(cert(name));
        EXPECT_NE(text.find("looks like a private key: are the two files swapped?"),
                  std::string::npos)
            << text;
    }
    const std::string text = refusal_of_key(cert("server-public.pem"));
    EXPECT_NE(text.find("looks like a public key"), std::string::npos) << text;
}

TEST_P(Files, AKeyIsTakenOutOfItsFile) {
    const auto taken = [](const std::string& content) {
        const ussl::SecretBytes key = ussl::private_key_of(bytes(content));
        return std::string(reinterpret_cast<const char*>(key.data()), key.size());
    };
    const std::string file = cert("server.crt") + cert("server.key") + cert("ca.crt");
    EXPECT_EQ(taken(file), cert("server-pkcs8.der"));
    EXPECT_EQ(taken(cert("server-pkcs8.der")), cert("server-pkcs8.der"));
    EXPECT_EQ(taken(cert("server-encrypted.pem")), cert("server-encrypted.der"));
    // Encrypted PEM is needed as it is.
    const std::string old = taken("text\n" + cert("encrypted-old-aes-128.pem") + cert("ca.crt"));
    EXPECT_EQ(old + "\n", cert("encrypted-old-aes-128.pem"));

    std::string wiped = file + cert("truncated.key");
    ussl::wipe_private_keys({reinterpret_cast<std::uint8_t*>(wiped.data()), wiped.size()});
    EXPECT_EQ(wiped.find("PRIVATE KEY"), std::string::npos);
    EXPECT_EQ(wiped.find(cert("server.key").substr(30, 60)), std::string::npos);
    EXPECT_EQ(count_of(wiped), 2U);
    for (const std::string& damage :
         {std::string("-----END CERTIFICATE-----\n"), std::string("\1")}) {
        wiped = cert("server.crt") + damage + cert("server.key");
        ussl::wipe_private_keys({reinterpret_cast<std::uint8_t*>(wiped.data()), wiped.size()});
        EXPECT_EQ(wiped.find("PRIVATE KEY"), std::string::npos);
    }
}

}  // namespace
}  // namespace contract
