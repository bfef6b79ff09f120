#pragma once

#include "ussl/transport.hpp"

namespace ussl {

/// The layer between an engine's I/O hooks and the stream. It remembers the state that neither of
/// them stores.
///
/// An engine only receives "moved", "try again", "end" or "broken". This class stores the reason,
/// and whether the stream ended inside a record. It also stores an alert that could not be sent. If
/// the stream accepts no more bytes, the engine can continue to read: the alert with the reason may
/// still be unread.
class RecordTransport {
  public:
    /// Sets the stream for the duration of one call.
    void attach(Callbacks& callbacks) {
        callbacks_ = &callbacks;
        timed_out_ = interrupted_ = paused_ = false;
        records_ = 0;
        bytes_ = 0;
    }
    void detach() { callbacks_ = nullptr; }

    /// Sets whether reads may read more from the stream than the engine requests. Data that is
    /// already buffered is returned in any case.
    void reads_ahead(bool may) { reads_ahead_ = may; }

    /// After a handshake of TLS 1.3: makes ChangeCipherSpec records unexpected (RFC 8446 §5).
    void reject_change_cipher_spec() { rejects_change_cipher_spec_ = true; }

    // For the engines' hooks. `failed`, and `aborted` from a read after abort(), are final.
    IoResult read(MutableBytes into);
    IoResult write(Bytes from);
    [[nodiscard]] Callbacks& callbacks() const { return *callbacks_; }

    // For the connection.
    [[nodiscard]] bool aborted() const { return aborted_; }
    [[nodiscard]] bool timed_out() const { return timed_out_; }
    /// Returns true if the engine has read the maximum number of records or bytes of one call, and
    /// there may be more. The engine was told that the stream would block.
    [[nodiscard]] bool paused() const { return paused_; }
    /// Returns true if the stream returned `aborted` in this call. The engine was told that it
    /// would block.
    [[nodiscard]] bool interrupted() const { return interrupted_; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] int read_errno() const { return read_errno_; }
    [[nodiscard]] int write_errno() const { return write_errno_; }
    /// Returns true if the engine has read part of a record.
    [[nodiscard]] bool inside_record() const { return header_bytes_ != 0 || body_left_ != 0; }
    /// Returns true if the buffered data lets the engine make progress: the rest of this record,
    /// the whole next record, or an invalid header.
    [[nodiscard]] bool holds_record() const;
    /// Returns buffered data that the engine has not read.
    [[nodiscard]] Bytes ahead() const { return ahead_; }
    /// Returns true if the first received bytes are not a TLS record (RFC 8446 §5.1).
    [[nodiscard]] bool not_tls() const { return not_tls_; }
    /// Returns these bytes, if not_tls(). May be shorter than a header, if no more were received.
    [[nodiscard]] Bytes first_bytes() const {
        return {header_, first_record_ ? header_bytes_ : sizeof header_};
    }
    /// Returns the number of a fatal alert that was the very first record, where some engines do
    /// not expect one. 0: none.
    [[nodiscard]] std::uint8_t first_alert() const {
        constexpr std::uint8_t fatal = 2;
        return first_alert_[0] == fatal ? first_alert_[1] : std::uint8_t{0};
    }
    /// Returns the type in the header of the last record.
    [[nodiscard]] std::uint8_t record_type() const { return header_[0]; }

    /// Reduces the buffer to the size of the buffered data, for an idle connection.
    void release_idle_buffers();
    /// Discards buffered data.
    void drop_ahead() {
        ahead_ = {};
        buffer_.reset();
    }

    /// Called after the engine has failed: sends the rest of its alert, as far as possible without
    /// waiting.
    void send_rest(Callbacks& callbacks);
    /// Called when the connection closes: from now on, stores the engine's ciphertext in memory,
    /// and uses the stream neither for reads nor for writes.
    void collect();
    /// As collect(), after the engine has failed: also stores the unsent end of its alert, because
    /// the engine does not write it again.
    void collect_alert();
    /// After collect(): returns the engine's ciphertext. Empty if memory ran out for any part of
    /// it.
    [[nodiscard]] SecretBytes collected() { return std::move(collected_); }
    /// Returns true if memory ran out after collect().
    [[nodiscard]] bool lost() const { return lost_; }
    /// Called if a callback other than the stream failed: prevents further reads. The engine's
    /// alert is still sent.
    void abort() { aborted_ = true; }

  private:
    IoResult read_stream(MutableBytes into);
    void follow_records(MutableBytes handed_over);
    void append(Bytes from);

    Callbacks* callbacks_ = nullptr;
    /// Allocated only while it contains data.
    std::unique_ptr<std::uint8_t, Release> buffer_;
    Bytes ahead_;  ///< the part of buffer_ that the engine has not read
    int read_errno_ = 0;
    int write_errno_ = 0;
    std::uint16_t body_left_ = 0;
    std::uint8_t header_bytes_ = 0;
    std::uint8_t header_[5] = {};
    bool reads_ahead_ = false;
    bool rejects_change_cipher_spec_ = false;
    bool first_record_ = true;
    bool is_first_alert_ = false;
    std::uint8_t first_alert_[2] = {};  ///< level and description
    bool aborted_ = false;
    bool timed_out_ = false;
    bool interrupted_ = false;
    bool paused_ = false;
    std::uint16_t records_ = 0;  ///< started in this call
    std::size_t bytes_ = 0;      ///< of this call, returned to the engine
    bool ended_ = false;
    bool not_tls_ = false;
    bool collects_ = false;
    bool lost_ = false;
    SecretBytes collected_;
    /// The end of data that the engine could not write, if it is short enough to be an alert.
    std::uint8_t rest_size_ = 0;
    std::uint8_t rest_[64];
};

}  // namespace ussl
