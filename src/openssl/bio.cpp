// Passes the stream to OpenSSL as a BIO.

#include "openssl.hpp"

namespace ussl::openssl {
namespace {

// Converts a stream's result to the return value of a BIO function. Only the end of the stream is
// 0: some functions of OpenSSL pass a 0 on, and others give it a different meaning.
int returned(const IoResult& result) {
    switch (result.kind) {
        case IoResult::Kind::bytes:
            return 1;
        case IoResult::Kind::end:
            return 0;
        default:
            return -1;
    }
}

OpenSslSession* session_of(BIO* bio) {
    return static_cast<OpenSslSession*>(BIO_get_data(bio));
}

int bio_read(BIO* bio, char* into, std::size_t size, std::size_t* count) {
    BIO_clear_retry_flags(bio);
    const IoResult result =
        session_of(bio)->transport().read({reinterpret_cast<std::uint8_t*>(into), size});
    if (result.kind == IoResult::Kind::would_block || result.kind == IoResult::Kind::timed_out)
        BIO_set_retry_read(bio);
    *count = result.count;
    return returned(result);
}

int bio_write(BIO* bio, const char* from, std::size_t size, std::size_t* count) {
    BIO_clear_retry_flags(bio);
    const IoResult result =
        session_of(bio)->transport().write({reinterpret_cast<const std::uint8_t*>(from), size});
    if (result.kind == IoResult::Kind::would_block || result.kind == IoResult::Kind::timed_out)
        BIO_set_retry_write(bio);
    *count = result.count;
    return returned(result);
}

long bio_control(BIO* bio, int command, long, void*) {
    switch (command) {
        case BIO_CTRL_FLUSH:
            return 1;
        case BIO_CTRL_EOF:
            return session_of(bio)->transport().ended() ? 1 : 0;
        default:
            return 0;
    }
}

}  // namespace

BIO_METHOD* make_bio_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "ussl stream");
    if (method != nullptr) {
        BIO_meth_set_read_ex(method, bio_read);
        BIO_meth_set_write_ex(method, bio_write);
        BIO_meth_set_ctrl(method, bio_control);
    }
    return method;
}

}  // namespace ussl::openssl
