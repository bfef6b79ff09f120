// Keys, certificates, roots and CRLs as a program hands them in, to both engines.

#include "fuzz.hpp"
#include "ussl/certificate.hpp"

namespace fuzz {
namespace {

/// Looks at all that there is to see.
struct Reader final : ussl::CertificateVisitor {
    void identity(int, const Serial& serial) noexcept override { see(serial.magnitude); }
    void attribute(Party, bool, std::string_view name, std::string_view value) noexcept override {
        see(bytes(name));
        see(bytes(value));
    }
    void validity(const Time&, const Time&) noexcept override {}
    void alternative_name(AltName, Bytes value) noexcept override { see(value); }
    void encoded(Bytes certificate, Bytes public_key) noexcept override {
        see(certificate);
        see(public_key);
    }
    void see(Bytes part) {
        for (const std::uint8_t byte : part)
            sum += byte;
    }
    volatile unsigned sum = 0;
};

}  // namespace
}  // namespace fuzz

void fuzz::run(Input& input) {
    enum class What : std::uint8_t { key, locked_key, certificate, trusted, kMaxValue = trusted };
    const auto what = input.ConsumeEnum<What>();
    const bool rsa = input.ConsumeBool();
    const std::string content = input.ConsumeRemainingBytesAsString();

    Options options = with_certificate(rsa ? "server-rsa" : "server").server;
    if (what == What::key || what == What::locked_key)
        options.key = bytes(content);
    if (what == What::locked_key)
        options.key_password = bytes("secret");
    if (what == What::certificate)
        options.certificate = bytes(content);
    if (what == What::trusted) {
        options.verify = Verify::optional;
        options.trusted = bytes(content);
    }
    for (const ussl::Engine* engine : engines) {
        Reader reader;
        (void)ussl::describe_certificate(*engine, bytes(content), reader);
        auto context = Context::make(*engine, options);
        if (!context) {
            const ussl::ConfigError refusal = context.error();
            expect(refusal.reason != nullptr && !refusal.out_of_memory, "refused without a reason");
            continue;
        }
        // Accepted credentials work, or the peer rejects them.
        Plan plan = with_certificate();
        plan.client.verify = Verify::insecure_no_verification;
        plan.client.trusted.reset();
        plan.client_context = context_of(ussl::openssl_engine, plan.client);
        plan.server_context = *context;
        Pair pair(plan);
        pair.handshake();
        expect_explained(*pair.client, pair.client_callbacks);
        expect_explained(*pair.server, pair.server_callbacks);
    }
}
