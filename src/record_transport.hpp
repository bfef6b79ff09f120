#pragma once

#include "ussl/transport.hpp"

namespace ussl {

/// Between an engine's I/O hooks and the stream: what neither of them remembers.
///
/// An engine sees only "moved", "try again", "end" or "broken". The wire keeps why, knows whether
/// the peer stopped in the middle of a record, saves an alert that could not leave, and lets an
/// engine whose stream no longer takes bytes go on reading, because the alert that explains it may
/// still be waiting to be read.
class RecordTransport {
  public:
    /// The stream is known only while a call is under way.
    void attach(Callbacks& callbacks) {
        callbacks_ = &callbacks;
        timed_out_ = interrupted_ = paused_ = false;
        records_ = 0;
        bytes_ = 0;
    }
    void detach() { callbacks_ = nullptr; }

    /// Whether a read may take more from the stream than the engine asks for. What is held already
    /// is handed out in any case.
    void reads_ahead(bool may) { reads_ahead_ = may; }

    /// After a handshake of TLS 1.3: a ChangeCipherSpec record is an unexpected one (RFC 8446 §5).
    void reject_change_cipher_spec() { rejects_change_cipher_spec_ = true; }

    // For the engines' hooks. `failed` and, for a read after abort(), `aborted` are final.
    IoResult read(MutableBytes into);
    IoResult write(Bytes from);
    [[nodiscard]] Callbacks& callbacks() const { return *callbacks_; }

    // For the connection.
    [[nodiscard]] bool aborted() const { return aborted_; }
    [[nodiscard]] bool timed_out() const { return timed_out_; }
    /// In this call, the engine has read as many records as one call may process, and there may be
    /// more. To the engine, the stream would block.
    [[nodiscard]] bool paused() const { return paused_; }
    /// In this call, the stream returned `aborted`. To the engine, it would block.
    [[nodiscard]] bool interrupted() const { return interrupted_; }
    [[nodiscard]] bool ended() const { return ended_; }
    [[nodiscard]] int read_errno() const { return read_errno_; }
    [[nodiscard]] int write_errno() const { return write_errno_; }
    /// The engine has part of a record, and waits for the rest.
    [[nodiscard]] bool inside_record() const { return header_bytes_ != 0 || body_left_ != 0; }
    /// What has arrived is enough for the engine to go on: the rest of this record, all of the
    /// next, or a header that no record can have.
    [[nodiscard]] bool holds_record() const;
    /// What has arrived, and not been handed to the engine.
    [[nodiscard]] Bytes ahead() const { return ahead_; }
    /// The first bytes that arrived could not be a TLS record (RFC 8446 §5.1).
    [[nodiscard]] bool not_tls() const { return not_tls_; }
    /// Those bytes, if not_tls(); fewer than a header has as long as no more have arrived.
    [[nodiscard]] Bytes first_bytes() const {
        return {header_, first_record_ ? header_bytes_ : sizeof header_};
    }
    /// The number of the fatal alert that arrived as the very first record, where some engines do
    /// not expect one; 0: none.
    [[nodiscard]] std::uint8_t first_alert() const {
        constexpr std::uint8_t fatal = 2;
        return first_alert_[0] == fatal ? first_alert_[1] : std::uint8_t{0};
    }
    /// What the header of the last record said.
    [[nodiscard]] std::uint8_t record_type() const { return header_[0]; }

    /// Nothing moves for now: keeps no more memory than for what is held.
    void release_idle_buffers();
    /// Nobody will read what is held.
    void drop_ahead() {
        ahead_ = {};
        buffer_.reset();
    }

    /// After the engine has failed: sends what is left of its alert, as far as that goes now.
    void send_rest(Callbacks& callbacks);
    /// The connection closes: from now on, the engine writes into memory, and neither reads nor
    /// writes the stream.
    void collect();
    /// The same after the engine has failed, when it does not write again what the stream did not
    /// accept: the end of its alert.
    void collect_alert();
    /// After collect(): the engine's ciphertext, in order. Without memory for all of it, none.
    [[nodiscard]] SecretBytes collected() { return std::move(collected_); }
    /// After collect(): memory ran out.
    [[nodiscard]] bool lost() const { return lost_; }
    /// A callback other than the stream failed: nothing is read any more, and the engine's alert is
    /// still sent.
    void abort() { aborted_ = true; }

  private:
    IoResult read_stream(MutableBytes into);
    void follow_records(MutableBytes handed_over);
    void append(Bytes from);

    Callbacks* callbacks_ = nullptr;
    /// There while it holds something.
    std::unique_ptr<std::uint8_t, Release> buffer_;
    Bytes ahead_;  ///< the part of it that the engine has not taken
    int read_errno_ = 0;
    int write_errno_ = 0;
    std::uint16_t body_left_ = 0;
    std::uint8_t header_bytes_ = 0;
    std::uint8_t header_[5] = {};
    bool reads_ahead_ = false;
    bool rejects_change_cipher_spec_ = false;
    bool first_record_ = true;
    bool is_first_alert_ = false;
    std::uint8_t first_alert_[2] = {};  ///< level and number
    bool aborted_ = false;
    bool timed_out_ = false;
    bool interrupted_ = false;
    bool paused_ = false;
    std::uint16_t records_ = 0;  ///< begun in this call
    std::size_t bytes_ = 0;      ///< of this call, handed to the engine
    bool ended_ = false;
    bool not_tls_ = false;
    bool collects_ = false;
    bool lost_ = false;
    SecretBytes collected_;
    /// The end of what the engine could not write, if it is short enough to be an alert.
    std::uint8_t rest_size_ = 0;
    std::uint8_t rest_[64];
};

}  // namespace ussl
