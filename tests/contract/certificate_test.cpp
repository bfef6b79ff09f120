// Certificates apart from any connection: made here, and looked into.

#include "ussl/certificate.hpp"

#include "contract.hpp"

namespace contract {
namespace {

using ussl::SelfSigned;
using ussl::SelfSignedFor;

std::string text_of(const ussl::SecretBytes& content) {
    return {reinterpret_cast<const char*>(content.data()), content.size()};
}

struct Recorder final : ussl::CertificateVisitor {
    void identity(int version, const Serial& number) noexcept override {
        this->version = version;
        serial = number.negative ? "-" : "";
        for (const std::uint8_t byte : number.magnitude) {
            serial += "0123456789ABCDEF"[byte >> 4];
            serial += "0123456789ABCDEF"[byte & 15];
        }
    }
    void attribute(Party, bool, std::string_view, std::string_view value) noexcept override {
        texts.emplace_back(value);
    }
    void validity(const Time& not_before, const Time& not_after) noexcept override {
        since = not_before.year;
        until = not_after.year;
    }
    void alternative_name(AltName kind, Bytes value) noexcept override {
        names += kind == AltName::ip ? " ip" + std::to_string(value.size())
                                     : " " + std::string(value.begin(), value.end());
    }
    void encoded(Bytes of_certificate, Bytes public_key) noexcept override {
        der = {of_certificate.begin(), of_certificate.end()};
        key = {public_key.begin(), public_key.end()};
    }
    int version = 0;
    std::string serial;  ///< as OpenSSL and CPython write it
    std::vector<std::string> texts;
    int since = 0, until = 0;
    std::string names, der, key;
};

using Certificates = testing::TestWithParam<const ussl::Engine*>;
INSTANTIATE_TEST_SUITE_P(Engines, Certificates,
                         testing::Values(&ussl::openssl_engine, &ussl::mbedtls_engine));

TEST_P(Certificates, CanBeLookedInto) {
    const std::string forms[] = {cert("server.crt"), cert("server.der"),
                                 "a comment\n" + cert("server.crt") + cert("ca.crt")};
    for (const std::string& form : forms) {
        Recorder recorder;
        ASSERT_TRUE(ussl::describe_certificate(*GetParam(), bytes(form), recorder));
        EXPECT_EQ(recorder.version, 3);
        EXPECT_EQ(recorder.names, " localhost ip4 ip16");
        EXPECT_EQ(recorder.der, cert("server.der"));
        EXPECT_EQ(recorder.key, cert("server-public.der"));
    }
}

TEST_P(Certificates, HaveTheSerialNumberThatIsEncoded) {
    const struct {
        const char* name;
        std::string_view serial;
    } cases[] = {
        {"0", "00"},
        {"1", "01"},
        {"127", "7F"},
        {"128", "80"},
        {"255", "FF"},
        {"256", "0100"},
        {"20-bytes", "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"},
        {"top-bit", "8000000000000000000000000000000000000001"},
        {"30-bytes", "800000000000000000000000000000000000000000000000000000000000"},
        {"minus-1", "-01"},
        {"minus-128", "-80"},
        {"minus-129", "-81"},
        {"minus-255", "-FF"},
        {"minus-256", "-0100"},
        {"minus-20-bytes", "-8000000000000000000000000000000000000000"},
    };
    for (const auto& c : cases) {
        Recorder recorder;
        const std::string certificate = cert(std::string("serial-") + c.name + ".crt");
        ASSERT_TRUE(ussl::describe_certificate(*GetParam(), bytes(certificate), recorder))
            << c.name;
        EXPECT_EQ(recorder.serial, c.serial) << c.name;
    }
}

TEST_P(Certificates, ThatAreNoneCannot) {
    for (const std::string& form :
         {std::string(), cert("garbage"), cert("server.key"), cert("truncated.crt"), cert("ca.crl"),
          cert("server.der") + "x"}) {
        Recorder recorder;
        const bool whole = form.size() == cert("server.der").size() + 1;
        EXPECT_EQ(ussl::describe_certificate(*GetParam(), bytes(form), recorder), whole);
    }
}

TEST_P(Certificates, OfADevicesOwnAreMade) {
    constexpr std::string_view names[] = {"device.local", "192.168.4.1", "::1"};
    const auto made = ussl::make_self_signed(*GetParam(), {names});
    ASSERT_TRUE(made.has_value()) << made.error().reason;
    Recorder recorder;
    const std::string certificate = text_of(made->certificate);
    ASSERT_TRUE(ussl::describe_certificate(*GetParam(), bytes(certificate), recorder));
    EXPECT_EQ(recorder.version, 3);
    // Positive, and not longer than 20 bytes (RFC 5280 §4.1.2.2).
    EXPECT_EQ(recorder.serial.size(), 2 * 16U);
    EXPECT_LT(recorder.serial[0], '8');
    EXPECT_EQ(recorder.texts, (std::vector<std::string>{"device.local", "device.local"}));
    EXPECT_EQ(recorder.names, " device.local ip4 ip16");
    EXPECT_EQ(recorder.since, 2000);
    EXPECT_EQ(recorder.until, 9999);

    const auto again = ussl::make_self_signed(*GetParam(), {names});
    ASSERT_TRUE(again.has_value());
    EXPECT_NE(text_of(again->key), text_of(made->key));
}

TEST_P(Certificates, OfADevicesOwnAreRefusedForBadNames) {
    constexpr std::string_view none[] = {""};
    constexpr std::string_view bad[] = {"good.local", "not a name"};
    constexpr std::string_view good[] = {"device.local"};
    constexpr std::string_view many[9] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    const auto refused = [](const SelfSignedFor& what) {
        return !ussl::make_self_signed(*GetParam(), what).has_value();
    };
    EXPECT_TRUE(refused({{}}));
    EXPECT_TRUE(refused({none}));
    EXPECT_TRUE(refused({bad}));
    EXPECT_TRUE(refused({many}));
    EXPECT_TRUE(refused({good, 10, 10}));
    EXPECT_TRUE(refused({good, 0, 253402300800}));
    EXPECT_TRUE(refused({good, -631152001, 0}));
    EXPECT_FALSE(refused({good, -631152000, 253402300799}));
    EXPECT_FALSE(refused({std::span(many).first(8)}));
    const std::string longest(63, 'a');
    const std::string long_name = longest + "." + longest + "." + longest;
    const std::string_view long_names[] = {long_name};
    EXPECT_FALSE(refused({long_names}));
}

using OwnCertificate = EachCase;
INSTANTIATE_EACH_CASE(OwnCertificate);

TEST_P(OwnCertificate, ServesWhoTrustsIt) {
    constexpr std::string_view names[] = {"device.local", "192.168.4.1"};
    Plan setup = plan(with_certificate());
    const auto made = ussl::make_self_signed(*setup.server_engine, {names});
    ASSERT_TRUE(made.has_value()) << made.error().reason;
    const std::string key = text_of(made->key);
    const std::string certificate = text_of(made->certificate);
    setup.server.key = bytes(key);
    setup.server.certificate = bytes(certificate);
    setup.client.trusted = bytes(certificate);
    for (const char* name : {"device.local", "192.168.4.1", "other.local"}) {
        setup.name = name;
        Pair pair(setup);
        const bool fits = name != std::string_view("other.local");
        EXPECT_EQ(pair.handshake(), fits) << describe(pair.client->error());
    }
    setup.name = "device.local";
    setup.client.trusted = bytes(cert("ca.crt"));
    Pair pair(setup);
    EXPECT_FALSE(pair.handshake());
    EXPECT_EQ(pair.client->error().code, Code::CERT_SELF_SIGNED);
}

}  // namespace
}  // namespace contract
