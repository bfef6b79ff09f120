#include <cstdio>
#include <ussl/connection.hpp>
#include <ussl/version.hpp>

int main() {
    auto context = ussl::Context::make(ussl::default_engine(), {});
    if (!context || ussl::text_of(ussl::Code::CERT_EXPIRED).empty())
        return 1;
    const std::string_view engine = ussl::engine_version(ussl::default_engine());
    std::printf("ussl %s, %.*s\n", USSL_VERSION, static_cast<int>(engine.size()), engine.data());
    return ussl::Connection::make(*context, {}) ? 0 : 1;
}
