#include "wire.hpp"

#include <cstring>

namespace ussl {

IoResult Wire::read(MutableBytes into) {
    if (aborted_)
        return IoResult::aborted();
    if (read_errno_ != 0)
        return IoResult::failed(read_errno_);
    if (ended_)
        return IoResult::end();

    IoResult result = host_->read(into);
    switch (result.kind) {
        case IoResult::Kind::bytes:
            follow_records(into.first(result.count));
            break;
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
            aborted_ = true;
            break;
    }
    return result;
}

IoResult Wire::write(Bytes from) {
    if (aborted_)
        return IoResult::aborted();
    rest_size_ = 0;
    // A peer that has gone may have said why: swallow, so that the engine goes on to read it.
    if (write_errno_ != 0)
        return IoResult::moved(from.size());

    IoResult result = host_->write(from);
    switch (result.kind) {
        case IoResult::Kind::timed_out:
            timed_out_ = true;
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
        case IoResult::Kind::aborted:
            aborted_ = true;
            break;
        case IoResult::Kind::bytes:
        case IoResult::Kind::end:
            break;
    }
    return result;
}

void Wire::send_rest(Host& host) {
    while (rest_size_ != 0 && !aborted_ && write_errno_ == 0 && host.ready(Direction::write)) {
        const IoResult result = host.write({rest_, rest_size_});
        if (result.kind != IoResult::Kind::bytes)
            return;
        rest_size_ = static_cast<std::uint8_t>(rest_size_ - result.count);
        std::memmove(rest_, rest_ + result.count, rest_size_);
    }
}

// RFC 8446 §5.1: type, two bytes of version, two bytes of length, then the body.
void Wire::follow_records(Bytes arrived) {
    while (!arrived.empty()) {
        if (body_left_ != 0) {
            const std::size_t n = arrived.size() < body_left_ ? arrived.size() : body_left_;
            body_left_ = static_cast<std::uint16_t>(body_left_ - n);
            arrived = arrived.subspan(n);
            continue;
        }
        const std::uint8_t byte = arrived[0];
        arrived = arrived.subspan(1);
        if (first_record_ &&
            ((header_bytes_ == 0 && (byte < 20 || byte > 24)) || (header_bytes_ == 1 && byte != 3)))
            not_tls_ = true;
        if (header_bytes_ == 3)
            length_high_ = byte;
        if (++header_bytes_ == 5) {
            body_left_ = static_cast<std::uint16_t>(length_high_ << 8 | byte);
            header_bytes_ = 0;
            first_record_ = false;
        }
    }
}

}  // namespace ussl
