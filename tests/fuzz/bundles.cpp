// Files of certificates and CRLs as programs and people write them, with both engines: the trusted,
// skipped and rejected ones, and the texts.
//
// The values are those of the test certificates, or changed; how they are written is the input's.

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "difference.hpp"

namespace fuzz {
namespace {

// Without EdDSA and RSA-PSS, which Mbed TLS does not support (tests/engines.def).
constexpr const char* files[] = {
    "ca.crt",
    "ca-rsa.crt",
    "ca-all.crt",
    "ca-twin.crt",
    "server.crt",
    "server-chain.crt",
    "server-selfsigned.crt",

    "server-weak.crt",
    "server-sha1.crt",
    "serial-minus-129.crt",
    "serial-30-bytes.crt",
    "unsupported-brainpool.crt",
    "unsupported-dsa.crt",
    "ca.crl",
    "ca-other.crl",

    "ca-critical.crl",
    "ca-special.crl",

    "server.key",
    "other.csr.der",
    "other.p7b",
    "curious.der",
};
// nullptr: that of its file.
constexpr const char* labels[] = {
    nullptr,    nullptr,       "CERTIFICATE", "X509 CERTIFICATE",   "TRUSTED CERTIFICATE",
    "X509 CRL", "PRIVATE KEY", "CMS",         "CERTIFICATE REQUEST"};
constexpr const char* line_ends[] = {"\n", "\n", "\r\n", "\r", "", " \n", "\t\r\n", "\n\n"};
constexpr const char* indents[] = {"", "", "", "  ", "\t"};
constexpr const char* between[] = {"",
                                   "",
                                   "\n",
                                   "# a comment\n",
                                   "\xEF\xBB\xBF",
                                   "Bag Attributes\n    friendlyName: a\n",
                                   "subject=CN = a\n",
                                   "-----BEGIN CERTIFICATE-----\n",
                                   "-----END CERTIFICATE-----\n",
                                   "-----BEGIN"};

struct Value {
    std::string label, der;
};

/// The content of a PEM file, or all of a DER file.
const std::vector<Value>& values_of(const char* file) {
    static auto& all = *new std::map<std::string, std::vector<Value>>;
    std::vector<Value>& values = all[file];
    if (!values.empty())
        return values;
    const std::string& content = cert(file);
    BIO* bio = BIO_new_mem_buf(content.data(), static_cast<int>(content.size()));
    char *name = nullptr, *header = nullptr;
    unsigned char* data = nullptr;
    for (long size = 0; PEM_read_bio(bio, &name, &header, &data, &size) == 1;) {
        values.push_back(
            {name, std::string(reinterpret_cast<char*>(data), static_cast<std::size_t>(size))});
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_free(data);
    }
    BIO_free(bio);
    if (values.empty())
        values.push_back({"CERTIFICATE", content});
    return values;
}

std::string base64(const std::string& der) {
    std::string text((der.size() + 2) / 3 * 4 + 1, '\0');
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(der.data()),
                                     static_cast<int>(der.size()));
    text.resize(static_cast<std::size_t>(size));
    return text;
}

/// One value in the form that the input selects.
std::string written(Input& input, const Value& value) {
    if (input.ConsumeIntegralInRange(0, 9) == 9)
        return value.der;
    const char* chosen = input.PickValueInArray(labels);
    const std::string label = chosen != nullptr ? chosen : value.label;
    const std::string end = input.PickValueInArray(line_ends);
    const std::string indent = input.PickValueInArray(indents);
    const auto width = input.PickValueInArray<std::size_t>({64, 64, 76, 1, 65536});
    std::string text = "-----BEGIN " + label + "-----" + (end.empty() ? "\n" : end);
    const std::string encoded = base64(value.der);
    for (std::size_t at = 0; at < encoded.size(); at += width)
        text += indent + encoded.substr(at, width) + end;
    text += (end.empty() ? "\n" : "") + ("-----END " + label + "-----");
    return text + (input.ConsumeIntegralInRange(0, 5) == 5 ? "" : "\n");
}

/// An engine's result: the content of the store, or the error text.
std::string outcome(const ussl::Engine& engine, const Options& options) {
    const auto context = Context::make(engine, options);
    if (context) {
        const ussl::StoreStats stats = (*context)->store_stats();
        return "trusted " + std::to_string(stats.certificates) + ", authorities " +
               std::to_string(stats.authorities) + ", crls " + std::to_string(stats.crls) +
               ", unsupported " + std::to_string(stats.unsupported);
    }
    expect(!context.error().out_of_memory, "no memory");
    char text[200];
    return "refused: " +
           std::string(text, ussl::describe(context.error(), "content", "file", text));
}

}  // namespace

void run(Input& input) {
    const bool own = input.ConsumeIntegralInRange(0, 3) == 3;
    const bool values_change = input.ConsumeIntegralInRange(0, 3) == 3;
    const bool text_changes = input.ConsumeBool();
    const auto count = input.ConsumeIntegralInRange(1, 4);
    std::optional<Editor> editor;
    if (values_change || text_changes)
        editor.emplace(input);
    std::string text = own ? cert("server.crt") : "";
    for (int i = 0; i < count; ++i) {
        text += input.PickValueInArray(between);
        const auto& values = values_of(input.PickValueInArray(files));
        Value value = values[input.ConsumeIntegralInRange<std::size_t>(0, values.size() - 1)];
        if (values_change)
            editor->next(value.der);
        text += written(input, value);
    }
    if (!values_change && text_changes)
        editor->next(text);
    if (text.empty())
        return;

    Options options = own ? with_certificate().server : with_certificate().client;
    (own ? options.certificate : options.trusted) = bytes(text);
    const std::string openssl = outcome(ussl::openssl_engine, options);
    const std::string mbedtls = outcome(ussl::mbedtls_engine, options);
    const char* what = own ? "a chain of one's own" : "a bundle";
    expect_same(values_change || text_changes ? std::string(what) + ", changed" : what, openssl,
                mbedtls);
}

}  // namespace fuzz
