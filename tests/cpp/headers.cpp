// All public headers, as a program with exceptions includes them. A function of a callback that is
// not noexcept does not compile (tests/cpp/run_tests.py, with MAY_THROW).

#include <ussl/certificate.hpp>
#include <ussl/connection.hpp>
#include <ussl/context.hpp>
#include <ussl/crypto.hpp>
#include <ussl/error.hpp>
#include <ussl/memory.hpp>
#include <ussl/socket.hpp>
#include <ussl/transport.hpp>
#include <ussl/version.hpp>

#ifdef MAY_THROW
#define NOEXCEPT
#else
#define NOEXCEPT noexcept
#endif

struct Stream final : ussl::Callbacks {
    ussl::IoResult read(ussl::MutableBytes) NOEXCEPT override { return ussl::IoResult::end(); }
    ussl::IoResult write(ussl::Bytes from) NOEXCEPT override {
        return ussl::IoResult::moved(from.size());
    }
};

int main() {
    Stream stream;
    ussl::Socket socket;
    ussl::TlsSocket tls;
    return stream.ready(ussl::Direction::read) && socket.descriptor() == -1 &&
                   tls.error_text().empty()
               ? 0
               : 1;
}
