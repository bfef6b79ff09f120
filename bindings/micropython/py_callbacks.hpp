#pragma once

// The stream and the Python functions of a program, as a connection calls them.

#include "binding.hpp"
#include "ussl/transport.hpp"

/// The callbacks of a connection for one call: the stream and the Python functions of a socket. It
/// has no destructor, so that it may be alive where an exception is raised.
class PyCallbacks final : public ussl::Callbacks {
  public:
    /// `never_waits`: reads and writes also a blocking stream only when it is ready.
    explicit PyCallbacks(ussl_socket_obj_t* self, bool never_waits = false)
        : self_(self),
          polls_first_((self->stream_kind == StreamKind::polled && !self->never_blocks) ||
                       (never_waits && self->stream_kind == StreamKind::blocks)) {}

    /// The exception that Python code raised.
    mp_obj_t exception = MP_OBJ_NULL;

    const void* thread() noexcept override;
    /// Over a blocking stream, the wait for another thread's call could be as long as the peer
    /// takes.
    ussl::TurnAnswer wait_for_turn() noexcept override;
    ussl::IoResult read(ussl::MutableBytes into) noexcept override;
    ussl::IoResult write(ussl::Bytes from) noexcept override;
    bool ready(ussl::Direction direction) noexcept override;
    ussl::PskAnswer find_psk(ussl::Bytes identity, ussl::MutableBytes key,
                             std::size_t& length) noexcept override;
    ussl::CertificateDecision verify_certificate(ussl::Bytes certificate,
                                                 int depth) noexcept override;
    ussl::NameAnswer choose_context(std::string_view name, ussl::Ref<ussl::Context>& instead,
                                    uint8_t& alert) noexcept override;
    ussl::SignAnswer sign(ussl::SignatureScheme scheme, ussl::Bytes digest, ussl::Bytes scalar,
                          ussl::MutableBytes signature, std::size_t& length) noexcept override;
    bool key_log(std::string_view line) noexcept override;

    /// Polls the stream. `unknown`: it does not support that; `raised`: the exception is kept.
    enum class Polled : uint8_t { known, unknown, raised };
    Polled poll(mp_uint_t flags, mp_uint_t* ready);
    /// Returns whether a poll reports any event. Many streams written in Python have an ioctl that
    /// returns 0 for every request; waiting for them would never end. Keeps exceptions, except
    /// those of an unsupported ioctl.
    bool can_be_polled();

  private:
    /// As poll(), but an exception of an unsupported ioctl becomes `unknown`.
    Polled poll_or_refusal(mp_uint_t flags, mp_uint_t* ready);
    mp_uint_t read_stream(ussl::MutableBytes into, int* error);
    mp_uint_t write_stream(ussl::Bytes from, int* error);
    ussl::IoResult result_of(mp_uint_t count, std::size_t asked, int error);
    [[nodiscard]] ussl::IoResult not_ready() const;

    ussl_socket_obj_t* self_;
    unsigned turns_ = 0;  ///< of other threads
    bool polls_first_;
};
