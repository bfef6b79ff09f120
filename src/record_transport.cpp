#include "record_transport.hpp"

#include <algorithm>
#include <cstring>

namespace ussl {
namespace {

/// Almost two records of maximum size. A larger buffer is faster, but needs more memory.
constexpr std::size_t max_ahead = 32768;
/// Limits of one call. A peer may send any number of records without plaintext (KeyUpdate, tickets,
/// empty ones), and an engine processes them all in one call.
constexpr int max_records = 32;
constexpr std::size_t max_bytes = 65536;
/// RFC 5246 §6.2.3; the limit of TLS 1.3 is lower.
constexpr std::size_t longest_body = max_record_size + 2048;
constexpr std::uint8_t tls_major = 3;
// Record types of RFC 8446 §B.1.
constexpr std::uint8_t no_type = 0;
constexpr std::uint8_t change_cipher_spec = 20;
constexpr std::uint8_t alert = 21;

// Returns the length in a record header (RFC 8446 §5.1: type, two bytes of version, two bytes of
// length).
std::uint16_t body_size(const std::uint8_t* header) {
    return static_cast<std::uint16_t>(header[3] << 8 | header[4]);
}

bool may_be_tls(std::uint8_t type, std::uint8_t major_version) {
    return type >= 20 && type <= 24 && major_version == tls_major;
}

}  // namespace

IoResult RecordTransport::read(MutableBytes into) {
    if (aborted_)
        return IoResult::aborted();
    if (collects_ || interrupted_)
        return IoResult::would_block();
    paused_ = !inside_record() && (records_ >= max_records || bytes_ >= max_bytes);
    if (paused_)
        return IoResult::would_block();
    if (ahead_.empty()) {
        if (read_errno_ != 0)
            return IoResult::failed(read_errno_);
        if (ended_)
            return IoResult::end();
        // If memory runs out, the engine reads from the stream without the buffer.
        if (reads_ahead_)
            buffer_.reset(static_cast<std::uint8_t*>(allocate(max_ahead)));
        const MutableBytes room = buffer_ ? MutableBytes(buffer_.get(), max_ahead) : into;
        const IoResult result = read_stream(room);
        if (result.kind != IoResult::Kind::bytes || !buffer_) {
            buffer_.reset();
            follow_records(into.first(result.count));
            return result;
        }
        ahead_ = room.first(result.count);
    }
    const std::size_t count = std::min(into.size(), ahead_.size());
    std::memcpy(into.data(), ahead_.data(), count);
    ahead_ = ahead_.subspan(count);
    if (ahead_.empty())
        buffer_.reset();
    follow_records(into.first(count));
    return IoResult::moved(count);
}

IoResult RecordTransport::read_stream(MutableBytes into) {
    const IoResult result = callbacks_->read(into);
    switch (result.kind) {
        case IoResult::Kind::bytes:
        case IoResult::Kind::would_block:
            break;
        case IoResult::Kind::timed_out:
            timed_out_ = true;
            break;
        case IoResult::Kind::end:
            ended_ = true;
            break;
        case IoResult::Kind::failed:
            read_errno_ = result.error;
            break;
        case IoResult::Kind::aborted:
            interrupted_ = true;
            return IoResult::would_block();
    }
    return result;
}

bool RecordTransport::holds_record() const {
    if (ahead_.empty())
        return false;
    std::size_t missing = body_left_;
    if (missing == 0) {
        std::uint8_t header[sizeof header_];
        missing = sizeof header - header_bytes_;
        if (ahead_.size() < missing)
            return false;
        std::memcpy(header, header_, header_bytes_);
        std::memcpy(header + header_bytes_, ahead_.data(), missing);
        if (!may_be_tls(header[0], header[1]) || body_size(header) > longest_body)
            return true;  // an invalid header: rejected without its body
        missing += body_size(header);
    }
    return ahead_.size() >= missing;
}

void RecordTransport::release_idle_buffers() {
    // read() returns a part of new data at once. If `ahead_` starts where its buffer does, this was
    // already moved to a smaller one.
    if (ahead_.empty() || ahead_.data() == buffer_.get())
        return;
    auto* small = static_cast<std::uint8_t*>(allocate(ahead_.size()));
    if (small == nullptr)
        return;
    std::memcpy(small, ahead_.data(), ahead_.size());
    ahead_ = {small, ahead_.size()};
    buffer_.reset(small);
}

IoResult RecordTransport::write(Bytes from) {
    rest_size_ = 0;
    // The peer may have sent the reason before it closed. Pretend success, so that the engine
    // continues and reads it.
    if (write_errno_ != 0)
        return IoResult::moved(from.size());
    if (collects_) {
        append(from);
        return IoResult::moved(from.size());
    }

    IoResult result = interrupted_ ? IoResult::would_block() : callbacks_->write(from);
    switch (result.kind) {
        case IoResult::Kind::timed_out:
            timed_out_ = true;
            [[fallthrough]];
        case IoResult::Kind::aborted:
            interrupted_ = interrupted_ || result.kind == IoResult::Kind::aborted;
            result = IoResult::would_block();
            [[fallthrough]];
        case IoResult::Kind::would_block:
            if (from.size() <= sizeof rest_) {
                std::memcpy(rest_, from.data(), from.size());
                rest_size_ = static_cast<std::uint8_t>(from.size());
            }
            break;
        case IoResult::Kind::failed:
            write_errno_ = result.error;
            return IoResult::moved(from.size());
        case IoResult::Kind::bytes:
        case IoResult::Kind::end:
            break;
    }
    return result;
}

void RecordTransport::send_rest(Callbacks& callbacks) {
    while (rest_size_ != 0 && write_errno_ == 0 && callbacks.ready(Direction::write)) {
        const IoResult result = callbacks.write({rest_, rest_size_});
        if (result.kind != IoResult::Kind::bytes)
            return;
        rest_size_ = static_cast<std::uint8_t>(rest_size_ - result.count);
        std::memmove(rest_, rest_ + result.count, rest_size_);
    }
}

void RecordTransport::collect() {
    collects_ = true;
}

void RecordTransport::collect_alert() {
    collects_ = true;
    if (rest_size_ != 0 && write_errno_ == 0)
        append({rest_, rest_size_});
    rest_size_ = 0;
}

void RecordTransport::append(Bytes from) {
    if (lost_)
        return;
    SecretBytes longer(collected_.size() + from.size());
    lost_ = longer.empty();
    if (!lost_) {
        if (!collected_.empty())
            std::memcpy(longer.data(), collected_.data(), collected_.size());
        std::memcpy(longer.data() + collected_.size(), from.data(), from.size());
    }
    collected_ = std::move(longer);
}

void RecordTransport::follow_records(MutableBytes handed_over) {
    bytes_ += handed_over.size();
    while (!handed_over.empty()) {
        if (body_left_ != 0) {
            const std::size_t n = std::min<std::size_t>(handed_over.size(), body_left_);
            if (is_first_alert_)
                std::memcpy(first_alert_ + sizeof first_alert_ - body_left_, handed_over.data(), n);
            body_left_ = static_cast<std::uint16_t>(body_left_ - n);
            handed_over = handed_over.subspan(n);
            continue;
        }
        // In this state, some engines would ignore a ChangeCipherSpec record. All of them reject an
        // invalid type.
        if (header_bytes_ == 0 && rejects_change_cipher_spec_ &&
            handed_over.front() == change_cipher_spec)
            handed_over.front() = no_type;
        const std::size_t n = std::min(handed_over.size(), sizeof header_ - header_bytes_);
        std::memcpy(header_ + header_bytes_, handed_over.data(), n);
        header_bytes_ = static_cast<std::uint8_t>(header_bytes_ + n);
        handed_over = handed_over.subspan(n);
        if (first_record_)
            not_tls_ = !may_be_tls(header_[0], header_bytes_ > 1 ? header_[1] : tls_major);
        if (header_bytes_ == sizeof header_) {
            body_left_ = body_size(header_);
            header_bytes_ = 0;
            ++records_;
            is_first_alert_ =
                first_record_ && header_[0] == alert && body_left_ == sizeof first_alert_;
            first_record_ = false;
        }
    }
}

}  // namespace ussl
