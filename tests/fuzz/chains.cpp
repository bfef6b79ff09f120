// Chains of certificates of any content, signed as they should be, before both engines' verifiers.
//
// An input ends with numbers: the number of certificates, and the length and the signer of each.
// The contents are before them: TBSCertificates (RFC 5280 §4.1), or complete certificates.

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "difference.hpp"

namespace fuzz {
namespace {

constexpr const char* signers[] = {
    nullptr,  // it is a complete certificate
    "ca",
    "ca-intermediate",
    "ca-constrained",
    "ca-softly",
    "ca-clientAuth",
    "ca-serverAuth",
    "ca-anyExtendedKeyUsage",
    "server",
};
constexpr const char* names[] = {"localhost", "127.0.0.1", "::1", "other.example",
                                 "a.example.test"};

std::string with_length(std::string_view content, std::size_t bytes) {
    std::string out(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i)
        out[bytes - 1 - i] = static_cast<char>(content.size() >> (8 * i) & 0xFFU);
    return out.append(content);
}

std::string der(char tag, std::string_view content) {
    if (content.size() < 128)
        return std::string(1, tag) + with_length(content, 1);
    return std::string(1, tag) + '\x82' + with_length(content, 2);
}

EVP_PKEY* key_of(const std::string& name) {
    static auto& keys = *new std::map<std::string, EVP_PKEY*>;
    EVP_PKEY*& key = keys[name];
    if (key == nullptr) {
        const std::string& pem = cert(name + ".key");
        BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
        key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
        BIO_free(bio);
    }
    return key;
}

/// A certificate (RFC 5280 §4.1) with a signature by ECDSA with SHA-256 that is right.
std::string signed_by(const std::string& signer, const std::string& tbs) {
    static const std::string algorithm("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", 12);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    unsigned char signature[128];
    std::size_t size = sizeof signature;
    const bool good =
        EVP_DigestSignInit(context, nullptr, EVP_sha256(), nullptr, key_of(signer)) == 1 &&
        EVP_DigestSign(context, signature, &size,
                       reinterpret_cast<const unsigned char*>(tbs.data()), tbs.size()) == 1;
    EVP_MD_CTX_free(context);
    expect(good, "no signature");
    const std::string bits(reinterpret_cast<const char*>(signature), size);
    return der('\x30', tbs + algorithm + der('\x03', std::string(1, '\0') + bits));
}

/// Puts the chain in the place of the one in the (unprotected) Certificate message of TLS 1.2.
void put_chain(Ring& ring, const std::string& chain) {
    constexpr std::size_t header = 5;
    constexpr std::uint8_t certificate = 11;
    auto& stream = ring.bytes;
    for (std::size_t at = 0; at + header < stream.size();) {
        const std::size_t size = static_cast<std::size_t>(stream[at + 3]) << 8U | stream[at + 4];
        if (stream[at] == 22 && stream[at + header] == certificate) {
            const std::string message =
                "\x16\x03\x03" + with_length('\x0b' + with_length(with_length(chain, 3), 3), 2);
            const auto begin = stream.begin() + static_cast<std::ptrdiff_t>(at);
            const auto after =
                stream.erase(begin, begin + static_cast<std::ptrdiff_t>(header + size));
            stream.insert(after, message.begin(), message.end());
            return;
        }
        at += header + size;
    }
}

/// A failure after an accepted chain is not compared: its key is seldom the peer's.
std::string about_certificates(const Connection& connection) {
    const Code code = connection.error().code;
    const bool refused =
        connection.failed() && ussl::class_of(code) == ussl::ErrorClass::certificate;
    return refused ? std::string(ussl::name_of(code)) : "accepted";
}

}  // namespace

void run(Input& input) {
    const bool of_client = input.ConsumeBool();
    const auto name = input.PickValueInArray(names);
    const auto count = input.ConsumeIntegralInRange<std::size_t>(1, 3);
    std::size_t sizes[3];
    const char* by[3];
    for (std::size_t i = 0; i < count; ++i) {
        sizes[i] = input.ConsumeIntegral<std::uint16_t>();
        by[i] = input.PickValueInArray(signers);
    }
    std::string chain;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string content = input.ConsumeBytesAsString(sizes[i]);
        // To Mbed TLS so little is no certificate, but a broken message.
        if (content.size() < 128)
            return;
        chain += with_length(by[i] != nullptr ? signed_by(by[i], content) : content, 3);
    }

    Plan plan = with_certificate();
    only(plan, Version::tls1_2);
    mutual(plan);
    if (!of_client)
        plan.name = name;
    plan.client.verify_time = plan.server.verify_time = today;

    std::string verdicts[2];
    for (std::size_t i = 0; i < 2; ++i) {
        forget_random();
        Plan made = plan;
        made.client_engine = made.server_engine = &ussl::openssl_engine;
        (of_client ? made.server_engine : made.client_engine) = engines[i];
        made.client_context = context_of(*made.client_engine, made.client);
        made.server_context = context_of(*made.server_engine, made.server);
        Pair pair(made);
        pair.client->handshake(pair.client_callbacks);
        pair.server->handshake(pair.server_callbacks);
        Connection& verifier = of_client ? *pair.server : *pair.client;
        MemoryCallbacks& callbacks = of_client ? pair.server_callbacks : pair.client_callbacks;
        if (of_client)
            pair.client->handshake(pair.client_callbacks);
        put_chain(callbacks.in, chain);
        verifier.handshake(callbacks);
        expect_explained(verifier, callbacks);
        verdicts[i] = about_certificates(verifier);
    }
    expect_same(of_client ? "chain of a client" : "chain of a server", verdicts[0], verdicts[1]);
}

}  // namespace fuzz
