// The stream and the callbacks of a program, as the library asks for them. No object with a
// destructor may be alive in the functions that call Python.

#include "py_callbacks.hpp"

#include <string.h>

#include "context.hpp"
#include "errors.hpp"
#include "stream.hpp"
#include "ussl/connection.hpp"

#if defined(__unix__)
#include <sys/stat.h>
#endif

namespace {

using ussl::Bytes;
using ussl::Connection;
using ussl::Direction;
using ussl::IoResult;
using ussl::MutableBytes;
using ussl::SignatureScheme;
namespace features = ussl::features;

mp_obj_t new_bytes(Bytes bytes) {
    return mp_obj_new_bytes(bytes.data(), bytes.size());
}

// Returns whether it is an exception that streams written in Python raise for an unsupported ioctl.
bool refuses(mp_obj_t exception) {
    const mp_const_obj_t type = MP_OBJ_FROM_PTR(mp_obj_get_type(exception));
    return mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_NotImplementedError)) ||
           mp_obj_is_subclass_fast(type, MP_OBJ_FROM_PTR(&mp_type_OSError));
}

// Calls psk_keys.get(identity), or the callback if there is one.
mp_obj_t ask_for_key(mp_obj_t psk_keys, mp_obj_t callback, Bytes identity) {
    const mp_obj_t asked = new_bytes(identity);
    if (callback == mp_const_none) {
        mp_obj_t call[3];
        mp_load_method(psk_keys, MP_QSTR_get, call);
        call[2] = asked;
        return mp_call_method_n_kw(1, 0, call);
    }
    // As in CPython, the callback receives a str, and returns b"" for "no key". If the identity is
    // not UTF-8, it receives bytes.
    const bool is_text = micropython::is_utf8(identity.data(), identity.size());
    const mp_obj_t found = mp_call_function_1(
        callback,
        is_text ? mp_obj_new_str(reinterpret_cast<const char*>(identity.data()), identity.size())
                : asked);
    mp_buffer_info_t bytes;
    const bool none = mp_get_buffer(found, &bytes, MP_BUFFER_READ) && bytes.len == 0;
    return none ? mp_const_none : found;
}

// Returns the length of the key that was written; 0: unknown identity. If a key has the wrong type
// or length and the context is `strict`, raises a TypeError or ValueError, as in wrap_socket();
// otherwise an OSError, as in MicroPython's SSLContext.
mp_uint_t find_key(const ussl_socket_obj_t* socket, Bytes identity, MutableBytes key) {
    const auto* context = static_cast<ussl_context_obj_t*>(MP_OBJ_TO_PTR(socket->context));
    const mp_obj_t found = ask_for_key(socket->psk_keys, socket->psk_callback, identity);
    if (found == mp_const_none)
        return 0;
    mp_buffer_info_t bytes;
    const bool is_bytes = !mp_obj_is_str(found) && mp_get_buffer(found, &bytes, MP_BUFFER_READ);
    const bool fits = is_bytes && bytes.len != 0 && bytes.len <= key.size();
    if (!fits && context->strict == 0)
        ussl_raise_row(ussl::Code::PSK_INVALID);
    if (!is_bytes)
        mp_raise_TypeError(MP_ERROR_TEXT("psk_keys.get must return bytes or None"));
    if (!fits)
        mp_raise_ValueError(MP_ERROR_TEXT("psk_keys.get must return 1 to 48 bytes"));
    memcpy(key.data(), bytes.buf, bytes.len);
    return bytes.len;
}

// Calls verify_callback(certificate, depth). Returns 0 to accept.
mp_uint_t ask_to_verify(mp_obj_t callback, Bytes certificate, int depth) {
    mp_obj_t copy = new_bytes(certificate);  // the program may keep it
#if MICROPY_PY_BUILTINS_MEMORYVIEW
    // MicroPython's own module passes a memoryview.
    mp_buffer_info_t bytes;
    mp_get_buffer_raise(copy, &bytes, MP_BUFFER_READ);
    copy = mp_obj_new_memoryview('B', bytes.len, bytes.buf);
#endif
    const mp_obj_t answer = mp_call_function_2(callback, copy, MP_OBJ_NEW_SMALL_INT(depth));
    // A bool is rejected: CPython's callbacks return True to accept, this one returns 0.
    if (!mp_obj_is_int(answer))
        mp_raise_TypeError(MP_ERROR_TEXT("verify_callback must return an int: 0 to accept"));
    return mp_obj_is_true(answer) ? 1 : 0;
}

bool uses_psk(const ussl_context_obj_t* context) {
    return context->psk_keys != mp_const_none || context->psk_server_callback != mp_const_none;
}

// Calls sni_callback(socket, name, context). Returns its alert; 0: none. If the callback has set
// another context, `*chosen` becomes its ussl::Context, with a reference for the caller.
mp_uint_t ask_for_context(ussl_socket_obj_t* socket, std::string_view name,
                          ussl::Context** chosen) {
    const mp_obj_t before = socket->context;
    const mp_obj_t arguments[3] = {
        MP_OBJ_FROM_PTR(socket),
        !name.empty() ? mp_obj_new_str(name.data(), name.size()) : mp_const_none, before};
    const mp_obj_t answer = mp_call_function_n_kw(socket->sni_callback, 3, 0, arguments);
    if (answer != mp_const_none) {
        const mp_int_t alert = mp_obj_get_int(answer);
        if (alert < 1 || alert > 255)
            mp_raise_ValueError(
                MP_ERROR_TEXT("sni_callback must return None or an alert, 1 to 255"));
        return static_cast<mp_uint_t>(alert);
    }
    if (socket->context == before)
        return 0;
    auto* context = static_cast<ussl_context_obj_t*>(MP_OBJ_TO_PTR(socket->context));
    if (context->server == 0 || uses_psk(context) ||
        uses_psk(static_cast<ussl_context_obj_t*>(MP_OBJ_TO_PTR(before))))
        mp_raise_ValueError(MP_ERROR_TEXT(
            "sni_callback must replace a server context with a certificate by another one"));
    *chosen = ussl_context_get(context, nullptr);
    socket->verify_callback = context->verify_callback;
    socket->sign_callback = context->sign_callback;
    socket->ecdsa_sign_callback = context->ecdsa_sign_callback;
    return 0;
}

std::string_view name_of(SignatureScheme scheme) {
    switch (scheme) {
        case SignatureScheme::ecdsa:
            return "ecdsa";
        case SignatureScheme::rsa_pkcs1:
            return "rsa_pkcs1";
        case SignatureScheme::rsa_pss:
            break;
    }
    return "rsa_pss";
}

// Calls sign_callback(algorithm, digest), or, for ECDSA, ecdsa_sign_callback(scalar, digest).
// Returns None if the context's own key must sign.
mp_obj_t ask_for_signature(const ussl_socket_obj_t* socket, SignatureScheme scheme, Bytes digest,
                           Bytes scalar) {
    const mp_obj_t to_sign = new_bytes(digest);
    if (socket->sign_callback != mp_const_none) {
        const std::string_view algorithm = name_of(scheme);
        return mp_call_function_2(socket->sign_callback,
                                  mp_obj_new_str(algorithm.data(), algorithm.size()), to_sign);
    }
    if (scheme != SignatureScheme::ecdsa)
        return mp_const_none;
    return mp_call_function_2(socket->ecdsa_sign_callback, new_bytes(scalar), to_sign);
}

// Returns the length of the signature that was written; 0: the context's own key must sign.
mp_uint_t make_signature(const ussl_socket_obj_t* socket, SignatureScheme scheme, Bytes digest,
                         Bytes scalar, MutableBytes signature) {
    const mp_obj_t made = ask_for_signature(socket, scheme, digest, scalar);
    // sign_callback must sign.
    if (made == mp_const_none && socket->sign_callback == mp_const_none)
        return 0;
    mp_buffer_info_t bytes;
    if (mp_obj_is_str(made) || !mp_get_buffer(made, &bytes, MP_BUFFER_READ))
        mp_raise_TypeError(MP_ERROR_TEXT("a sign callback must return bytes"));
    if (bytes.len == 0 || bytes.len > signature.size())
        mp_raise_msg_varg(&mp_type_ValueError,
                          MP_ERROR_TEXT("a sign callback must return 1 to %d bytes"),
                          static_cast<int>(signature.size()));
    if (scheme == SignatureScheme::ecdsa && *static_cast<const byte*>(bytes.buf) != 0x30)
        mp_raise_ValueError(MP_ERROR_TEXT("a signature of ECDSA must be DER"));
    memcpy(signature.data(), bytes.buf, bytes.len);
    return bytes.len;
}

void append_line(mp_obj_t filename, std::string_view line) {
    const mp_obj_t arguments[2] = {filename, MP_OBJ_NEW_QSTR(MP_QSTR_a)};
    const mp_obj_t file =
        mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_builtin_open_obj), 2, 0, arguments);
    vstr_t vstr;
    vstr_init(&vstr, line.size() + 2);
    vstr_add_strn(&vstr, line.data(), line.size());
    vstr_add_byte(&vstr, '\n');
    mp_stream_write(file, vstr.buf, vstr.len, MP_STREAM_RW_WRITE);
    mp_stream_close(file);
}

}  // namespace

// --- the stream

const void* PyCallbacks::thread() noexcept {
    return ussl_thread();
}

ussl::TurnAnswer PyCallbacks::wait_for_turn() noexcept {
    if (self_->stream_kind == StreamKind::blocks)
        return ussl::TurnAnswer::refused;
    ussl_let_threads_run(turns_++);
    ussl_handle_pending(&exception);
    return exception == MP_OBJ_NULL ? ussl::TurnAnswer::again : ussl::TurnAnswer::aborted;
}

IoResult PyCallbacks::read(MutableBytes into) noexcept {
    if (self_->stream == MP_OBJ_NULL)
        return IoResult::failed(MP_EBADF);
    if (polls_first_ && !ready(Direction::read))
        return not_ready();
    int error;
    const mp_uint_t count = read_stream(into, &error);
    if (count == 0)
        return IoResult::end();
    return result_of(count, into.size(), error);
}

IoResult PyCallbacks::write(Bytes from) noexcept {
    if (self_->stream == MP_OBJ_NULL)
        return IoResult::failed(MP_EBADF);
    // The delivery sends the unsent data of a closed connection.
    if (self_->closing && self_->connection->closed())
        return IoResult::would_block();
    if (polls_first_ && !ready(Direction::write))
        return not_ready();
    int error;
    const mp_uint_t count = write_stream(from, &error);
    return result_of(count != 0 ? count : MP_STREAM_ERROR, from.size(),
                     count != 0 ? error : MP_EAGAIN);
}

bool PyCallbacks::ready(Direction direction) noexcept {
    const mp_uint_t flag = direction == Direction::read ? MP_STREAM_POLL_RD : MP_STREAM_POLL_WR;
    mp_uint_t ready = 0;
    switch (poll_or_refusal(flag, &ready)) {
        case Polled::known:
            return ready != 0;
        case Polled::unknown:
            break;
        case Polled::raised:
            return false;
    }
    return true;  // unknown
}

bool PyCallbacks::can_be_polled() {
    mp_uint_t ready = 0;
    return poll_or_refusal(MP_STREAM_POLL_RD | MP_STREAM_POLL_WR, &ready) == Polled::known &&
           ready != 0;
}

PyCallbacks::Polled PyCallbacks::poll(mp_uint_t flags, mp_uint_t* ready) {
    const mp_obj_t stream = self_->stream;  // another thread may close it
    if (stream == MP_OBJ_NULL)
        return Polled::unknown;
    int error;
    const mp_uint_t result = ussl_stream_poll(stream, flags, &error, &exception);
    if (result == ussl_raised)
        return Polled::raised;
    if (result == MP_STREAM_ERROR)
        return Polled::unknown;
    *ready = result;
    return Polled::known;
}

PyCallbacks::Polled PyCallbacks::poll_or_refusal(mp_uint_t flags, mp_uint_t* ready) {
    const mp_obj_t before = exception;
    const Polled polled = poll(flags, ready);
    if (polled != Polled::raised || !refuses(exception))
        return polled;
    exception = before;
    return Polled::unknown;
}

mp_uint_t PyCallbacks::read_stream(MutableBytes into, int* error) {
#if defined(__unix__)
    if (self_->stream_kind == StreamKind::socket)
        return ussl_stream_receive(self_->stream, into.data(), into.size(), error);
#endif
    return ussl_stream_read(self_->stream, into.data(), into.size(), error, &exception);
}

mp_uint_t PyCallbacks::write_stream(Bytes from, int* error) {
#if defined(__unix__)
    if (self_->stream_kind == StreamKind::socket)
        return ussl_stream_send(self_->stream, from.data(), from.size(), error);
#endif
    const std::size_t size =
        polls_first_ && from.size() > ussl::ready_piece ? ussl::ready_piece : from.size();
    return ussl_stream_write(self_->stream, from.data(), size, error, &exception);
}

IoResult PyCallbacks::result_of(mp_uint_t count, std::size_t asked, int error) {
    if (count == ussl_raised)
        return IoResult::aborted();
    if (count != MP_STREAM_ERROR)  // a stream written in Python may return too large a count
        return count <= asked ? IoResult::moved(count) : IoResult::failed(MP_EIO);
    if (ussl_would_block(error)) {
        self_->would_block = self_->would_block || self_->stream_kind == StreamKind::blocks;
        return IoResult::would_block();
    }
    if (error == MP_ETIMEDOUT)
        return IoResult::timed_out();
    return IoResult::failed(error > 0 ? error : MP_EIO);
}

IoResult PyCallbacks::not_ready() const {
    return exception != MP_OBJ_NULL ? IoResult::aborted() : IoResult::would_block();
}

// --- Python functions

ussl::PskAnswer PyCallbacks::find_psk(Bytes identity, MutableBytes key,
                                      std::size_t& length) noexcept {
    const mp_uint_t found =
        ussl_guarded([=, this] { return find_key(self_, identity, key); }, &exception);
    if (found == ussl_raised)
        return ussl::PskAnswer::aborted;
    length = static_cast<size_t>(found);
    return length != 0 ? ussl::PskAnswer::found : ussl::PskAnswer::unknown;
}

ussl::CertificateDecision PyCallbacks::verify_certificate(Bytes certificate, int depth) noexcept {
    if constexpr (!features::context)
        return ussl::CertificateDecision::refused;
    const mp_uint_t answer = ussl_guarded(
        [=, this] { return ask_to_verify(self_->verify_callback, certificate, depth); },
        &exception);
    if (answer == ussl_raised)
        return ussl::CertificateDecision::aborted;
    return answer == 0 ? ussl::CertificateDecision::accepted : ussl::CertificateDecision::refused;
}

ussl::NameAnswer PyCallbacks::choose_context(std::string_view name,
                                             ussl::Ref<ussl::Context>& instead,
                                             uint8_t& alert) noexcept {
    if constexpr (!features::sni_callback)
        return ussl::NameAnswer::good;
    ussl::Context* chosen = nullptr;
    self_->chooses = true;
    const mp_uint_t answer = ussl_guarded(
        [=, this, &chosen] { return ask_for_context(self_, name, &chosen); }, &exception);
    self_->chooses = false;
    if (answer == ussl_raised)
        return ussl::NameAnswer::aborted;
    if (answer != 0) {
        alert = static_cast<uint8_t>(answer);
        return ussl::NameAnswer::refused;
    }
    if (chosen != nullptr)
        instead = ussl::Ref<ussl::Context>(chosen);
    return ussl::NameAnswer::good;
}

ussl::SignAnswer PyCallbacks::sign(SignatureScheme scheme, Bytes digest, Bytes scalar,
                                   MutableBytes signature, std::size_t& length) noexcept {
    if constexpr (!features::sign_callback)
        return ussl::SignAnswer::own_key;
    const mp_uint_t made = ussl_guarded(
        [=, this] { return make_signature(self_, scheme, digest, scalar, signature); }, &exception);
    if (made == ussl_raised)
        return ussl::SignAnswer::aborted;
    length = static_cast<size_t>(made);
    return length != 0 ? ussl::SignAnswer::made : ussl::SignAnswer::own_key;
}

bool PyCallbacks::key_log(std::string_view line) noexcept {
    if constexpr (!features::keylog)
        return true;
#if defined(__unix__)
    // A file created here contains secrets. MicroPython's open() has no argument for permissions.
    const mode_t before = umask(S_IRWXG | S_IRWXO);
#endif
    const mp_uint_t result = ussl_guarded(
        [=, this] {
            append_line(self_->keylog_filename, line);
            return mp_uint_t{0};
        },
        &exception);
#if defined(__unix__)
    umask(before);
#endif
    return result != ussl_raised;
}
