#include "wire.hpp"

#include <algorithm>
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
            const std::size_t n = std::min<std::size_t>(arrived.size(), body_left_);
            body_left_ = static_cast<std::uint16_t>(body_left_ - n);
            arrived = arrived.subspan(n);
            continue;
        }
        const std::size_t n = std::min(arrived.size(), sizeof header_ - header_bytes_);
        std::memcpy(header_ + header_bytes_, arrived.data(), n);
        header_bytes_ = static_cast<std::uint8_t>(header_bytes_ + n);
        arrived = arrived.subspan(n);
        if (first_record_)
            not_tls_ = header_[0] < 20 || header_[0] > 24 || (header_bytes_ > 1 && header_[1] != 3);
        if (header_bytes_ == sizeof header_) {
            body_left_ = static_cast<std::uint16_t>(header_[3] << 8 | header_[4]);
            header_bytes_ = 0;
            first_record_ = false;
        }
    }
}

}  // namespace ussl
