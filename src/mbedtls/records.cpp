#include <algorithm>
#include <cstring>

#include "../policy/limits.hpp"
#include "mbedtls.hpp"

namespace ussl::mbedtls {

int result_of(const IoResult& result, int when_blocked) {
    switch (result.kind) {
        case IoResult::Kind::bytes:
            return static_cast<int>(result.count);
        case IoResult::Kind::would_block:
        case IoResult::Kind::timed_out:
            return when_blocked;
        case IoResult::Kind::end:
            return 0;
        default:
            return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
}

#ifdef USSL_PATCHED_MBEDTLS

namespace {

constexpr std::size_t header_bytes = 5;
constexpr std::size_t sequence_number_bytes = 8;

// Moves the content of a buffer, and adjusts Mbed TLS's pointers into it.
template <std::size_t count>
void move_to(unsigned char* to, std::size_t to_size, unsigned char*& buffer, std::size_t& size,
             unsigned char** const (&pointers)[count]) {
    std::memcpy(to, buffer, std::min(size, to_size));
    for (unsigned char** pointer : pointers)
        if (*pointer != nullptr)
            *pointer = to + (*pointer - buffer);
    buffer = to;
    size = to_size;
}

}  // namespace

// The version in a record header (RFC 8446 §5.1) is 3.x. In TLS 1.2, it is the negotiated version
// after ServerHello (RFC 5246 §6.2.1). Mbed TLS does not reject other values, which are damage on
// the way.
bool Records::version_fits() const {
    const bool agreed =
        ssl_.tls_version == MBEDTLS_SSL_VERSION_TLS1_2 && ssl_.state > MBEDTLS_SSL_SERVER_HELLO;
    return header_[1] == 3 && (!agreed || header_[2] == 3);
}

bool Records::within_a_record() const {
    return header_size_ != 0 || ssl_.in_left != 0;
}

// Mbed TLS collects the fragments of a message in its input buffer
// (mbedtls_ssl_prepare_handshake_record()).
bool Records::chain_is_too_long() const {
    constexpr std::size_t message_header = 4;
    return ssl_.badmac_seen_or_in_hsfraglen != 0 &&
           ssl_.in_hslen > message_header + policy::longest_chain &&
           ssl_.in_buf[sequence_number_bytes + header_bytes] == MBEDTLS_SSL_HS_CERTIFICATE;
}

// Mbed TLS needs room for the whole body before it reads the body. A header can announce 16 KB at
// no cost to its sender. So the body is received first, behind the place of the header, into a
// buffer that grows with it. Mbed TLS gets the header when the record is complete.
int Records::receive(RecordTransport& wire, MutableBytes into) {
    // in_left: the size of the part that Mbed TLS has read. It now reads the body, which is already
    // in its place.
    if (ssl_.in_left >= header_bytes) {
        const std::size_t n = std::min(into.size(), body_size_);
        body_size_ -= n;
        return static_cast<int>(n);
    }
    while (header_size_ < header_bytes) {
        const int ret = result_of(wire.read({header_ + header_size_, header_bytes - header_size_}),
                                  MBEDTLS_ERR_SSL_WANT_READ);
        if (ret <= 0)
            return ret;
        header_size_ = static_cast<std::uint8_t>(header_size_ + ret);
    }
    if (!version_fits())
        return MBEDTLS_ERR_SSL_INVALID_RECORD;
    const std::size_t body = static_cast<std::size_t>(header_[3]) << 8 | header_[4];
    if (!is_rejected(body)) {
        if (const int ret = receive_body(wire, body); ret <= 0)
            return ret;
        lacks_room_ = !can_decrypt();
        if (lacks_room_)
            return MBEDTLS_ERR_SSL_WANT_READ;
    }
    const std::size_t n = std::min(into.size(), header_bytes - ssl_.in_left);
    std::memcpy(into.data(), header_ + ssl_.in_left, n);
    if (ssl_.in_left + n == header_bytes)
        header_size_ = 0;
    return static_cast<int>(n);
}

// Returns true if Mbed TLS rejects the record because of its header, so that the body need not be
// received.
bool Records::is_rejected(std::size_t body) const {
    return header_[0] < MBEDTLS_SSL_MSG_CHANGE_CIPHER_SPEC ||
           header_[0] > MBEDTLS_SSL_MSG_APPLICATION_DATA || body == 0 ||
           body_begin() + body > ussl_mbedtls_largest_input;
}

// If memory runs out while Mbed TLS decrypts a record, the record is lost. This probe finds out in
// advance.
bool Records::can_decrypt() const {
    constexpr std::size_t enough = 512;  // for the context of a cipher
    if (mbedtls_ssl_is_handshake_over(&ssl_) == 0)
        return true;
    void* probe = allocate(enough);
    release(probe);
    return probe != nullptr;
}

std::size_t Records::body_begin() const {
    return static_cast<std::size_t>(ssl_.in_hdr - ssl_.in_buf) + header_bytes;
}

// Returns 1 if the body is complete, otherwise a result for receive().
int Records::receive_body(RecordTransport& wire, std::size_t body) {
    constexpr std::size_t least = 1024;
    constexpr std::size_t growth = 4;
    // If a message has several records, the next header is stored behind the collected fragments.
    const std::size_t around = body_begin() + header_bytes;
    while (body_size_ < body) {
        const std::size_t place = ssl_.in_buf_len > around ? ssl_.in_buf_len - around : 0;
        const std::size_t limit = std::min(place, body);
        if (body_size_ == limit || limit < std::min(body, least)) {
            wanted_ = around + std::min(body, std::max(least, growth * body_size_));
            return MBEDTLS_ERR_SSL_WANT_READ;
        }
        unsigned char* to = ssl_.in_buf + body_begin() + body_size_;
        const int ret = result_of(wire.read({to, limit - body_size_}), MBEDTLS_ERR_SSL_WANT_READ);
        if (ret <= 0)
            return ret;
        body_size_ += static_cast<std::size_t>(ret);
    }
    return 1;
}

Records::~Records() {
    // Mbed TLS must not free these members.
    if (ssl_.in_buf == smallest_input_)
        ssl_.in_buf = nullptr;
    if (ssl_.out_buf == smallest_output_)
        ssl_.out_buf = nullptr;
}

void Records::use_input(unsigned char* buffer, std::size_t size) {
    unsigned char* before = ssl_.in_buf;
    const std::size_t size_before = ssl_.in_buf_len;
    move_to(buffer, size, ssl_.in_buf, ssl_.in_buf_len,
            {&ssl_.in_ctr, &ssl_.in_hdr, &ssl_.in_len, &ssl_.in_iv, &ssl_.in_msg, &ssl_.in_offt});
    let_go(before, size_before);
}

void Records::use_output(unsigned char* buffer, std::size_t size) {
    unsigned char* before = ssl_.out_buf;
    const std::size_t size_before = ssl_.out_buf_len;
    move_to(buffer, size, ssl_.out_buf, ssl_.out_buf_len,
            {&ssl_.out_ctr, &ssl_.out_hdr, &ssl_.out_len, &ssl_.out_iv, &ssl_.out_msg});
    let_go(before, size_before);
}

void Records::let_go(unsigned char* buffer, std::size_t size) {
    if (buffer == smallest_input_ || buffer == smallest_output_)
        return;
    wipe(buffer, size);
    mbedtls_free(buffer);
}

bool Records::make_room() {
    auto* buffer = static_cast<unsigned char*>(allocate(wanted_));
    if (buffer != nullptr)
        use_input(buffer, wanted_);
    wanted_ = 0;
    lacks_room_ = buffer == nullptr;
    return buffer != nullptr;
}

bool Records::room_to_write(std::size_t bytes) {
    const std::size_t size = around_a_record + bytes;
    if (ssl_.out_buf_len >= size)
        return true;
    auto* buffer = static_cast<unsigned char*>(allocate(size));
    if (buffer != nullptr)
        use_output(buffer, size);
    return buffer != nullptr;
}

void Records::release_idle_buffers() {
    // A handshake message stays in the buffer until Mbed TLS looks for the next one.
    const bool message_is_done = ssl_.in_hslen == 0 || ssl_.in_hslen >= ssl_.in_msglen;
    if (ssl_.in_buf != smallest_input_ && ssl_.in_left == 0 && header_size_ == 0 &&
        ssl_.in_offt == nullptr && message_is_done && ssl_.badmac_seen_or_in_hsfraglen == 0 &&
        ssl_.keep_current_message == 0)
        use_input(smallest_input_, sizeof smallest_input_);
    if (ssl_.out_buf != smallest_output_ && ssl_.out_left == 0)
        use_output(smallest_output_, sizeof smallest_output_);
}

#else  // a port's Mbed TLS, with its own buffers

Records::~Records() = default;

bool Records::within_a_record() const {
    return ssl_.in_left != 0;
}

int Records::receive(RecordTransport& wire, MutableBytes into) {
    return result_of(wire.read(into), MBEDTLS_ERR_SSL_WANT_READ);
}

#endif

}  // namespace ussl::mbedtls
