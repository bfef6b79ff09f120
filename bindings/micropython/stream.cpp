// Calls into Python, each under nlr_push, so that an exception never unwinds through the engine. No
// object with a destructor may be alive in these functions.

#include "context.hpp"

#include <string.h>

#include "ussl/error.hpp"

#if defined(__unix__)
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#endif

extern "C" bool ussl_stream_is_python(mp_obj_t stream) {
    return mp_obj_is_instance_type(mp_obj_get_type(stream));
}

namespace {

// Converts a result as of MicroPython's io.IOBase: None (would block), a count, or a negative
// errno.
mp_uint_t to_count(mp_obj_t returned, int* errcode) {
    if (returned == mp_const_none) {
        *errcode = MP_EAGAIN;
        return MP_STREAM_ERROR;
    }
    const mp_int_t count = mp_obj_get_int(returned);
    if (count >= 0)
        return static_cast<mp_uint_t>(count);
    *errcode = static_cast<int>(-count);
    return MP_STREAM_ERROR;
}

mp_uint_t call_python(mp_obj_t stream, qstr method, mp_obj_t argument, int* errcode) {
    mp_obj_t call[3];
    mp_load_method(stream, method, call);
    call[2] = argument;
    return to_count(mp_call_method_n_kw(1, 0, call), errcode);
}

// A stream written in Python gets an array in the interpreter's heap. It may keep the array after
// the call, when the engine's buffer has been released.
mp_uint_t read_stream(mp_obj_t stream, void* buf, size_t size, int* errcode) {
    if (!ussl_stream_is_python(stream))
        return mp_get_stream(stream)->read(stream, buf, size, errcode);
    const mp_obj_t array = mp_obj_new_bytearray(size, buf);
    const mp_uint_t count = call_python(stream, MP_QSTR_readinto, array, errcode);
    const auto* held = static_cast<mp_obj_array_t*>(MP_OBJ_TO_PTR(array));
    // The program may have shortened the array.
    if (count != MP_STREAM_ERROR && count <= size && count <= held->len)
        memcpy(buf, held->items, count);
    else if (count != MP_STREAM_ERROR)
        return size + 1;
    return count;
}

mp_uint_t write_stream(mp_obj_t stream, const void* buf, size_t size, int* errcode) {
    if (!ussl_stream_is_python(stream))
        return mp_get_stream(stream)->write(stream, buf, size, errcode);
    return call_python(stream, MP_QSTR_write, mp_obj_new_bytearray(size, buf), errcode);
}

// For streams without ioctl(), such as a subclass of socket.
mp_uint_t ioctl_without(mp_obj_t stream, mp_uint_t request, int* errcode) {
    if (request != MP_STREAM_CLOSE) {
        *errcode = MP_EINVAL;
        return MP_STREAM_ERROR;
    }
    mp_obj_t call[2];
    mp_load_method_maybe(stream, MP_QSTR_close, call);
    if (call[0] != MP_OBJ_NULL)
        mp_call_method_n_kw(0, 0, call);
    return 0;
}

mp_uint_t ioctl_stream(mp_obj_t stream, mp_uint_t request, uintptr_t arg, int* errcode) {
    if (!ussl_stream_is_python(stream))
        return mp_get_stream(stream)->ioctl(stream, request, arg, errcode);
    mp_obj_t call[4];
    mp_load_method_maybe(stream, MP_QSTR_ioctl, call);
    if (call[0] == MP_OBJ_NULL)
        return ioctl_without(stream, request, errcode);
    call[2] = mp_obj_new_int_from_uint(request);
    call[3] = mp_obj_new_int_from_uint(arg);
    return to_count(mp_call_method_n_kw(2, 0, call), errcode);
}

// Keeps exceptions. After a signal, runs its handler, which may raise (Ctrl-C), and repeats the
// call.
mp_uint_t guarded(mp_uint_t (*call)(void*), void* captured, int* errcode, mp_obj_t* exception) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        *exception = MP_OBJ_FROM_PTR(nlr.ret_val);
        return USSL_RAISED;
    }
    mp_uint_t result;
    for (;;) {
        *errcode = 0;
        result = call(captured);
        if (result != MP_STREAM_ERROR || *errcode != MP_EINTR)
            break;
        micropython::handle_pending();
    }
    nlr_pop();
    return result;
}

template <class Call>
mp_uint_t guarded(Call call, int* errcode, mp_obj_t* exception) {
    return guarded([](void* captured) { return (*static_cast<Call*>(captured))(); }, &call, errcode,
                   exception);
}

}  // namespace

extern "C" bool ussl_is_error(mp_obj_t exception) {
    return mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(exception)),
                                   MP_OBJ_FROM_PTR(&mp_type_Exception));
}

extern "C" mp_uint_t ussl_stream_read(mp_obj_t stream, void* buf, size_t size, int* errcode,
                                      mp_obj_t* exception) {
    return guarded([=] { return read_stream(stream, buf, size, errcode); }, errcode, exception);
}

extern "C" mp_uint_t ussl_stream_write(mp_obj_t stream, const void* buf, size_t size, int* errcode,
                                       mp_obj_t* exception) {
    return guarded([=] { return write_stream(stream, buf, size, errcode); }, errcode, exception);
}

extern "C" mp_uint_t ussl_stream_ioctl(mp_obj_t stream, mp_uint_t request, uintptr_t arg,
                                       int* errcode, mp_obj_t* exception) {
    return guarded([=] { return ioctl_stream(stream, request, arg, errcode); }, errcode, exception);
}

extern "C" mp_uint_t ussl_stream_poll(mp_obj_t stream, mp_uint_t flags, int* errcode,
                                      mp_obj_t* exception) {
#if defined(__unix__)
    const int fd = ussl_stream_descriptor(stream);
    if (fd >= 0) {
        struct pollfd ask = {fd, static_cast<short>(flags), 0};
        return poll(&ask, 1, 0) > 0 ? static_cast<mp_uint_t>(ask.revents) : 0;
    }
#endif
    return ussl_stream_ioctl(stream, MP_STREAM_POLL, flags, errcode, exception);
}

namespace {

mp_obj_t ask_for_key(mp_obj_t psk_keys, mp_obj_t callback, const uint8_t* identity, size_t size) {
    const mp_obj_t asked = mp_obj_new_bytes(identity, size);
    if (callback == mp_const_none) {
        mp_obj_t call[3];
        mp_load_method(psk_keys, MP_QSTR_get, call);
        call[2] = asked;
        return mp_call_method_n_kw(1, 0, call);
    }
    // As in CPython, the callback receives a str, and returns b"" for "no key". If the identity is
    // not UTF-8, it receives bytes.
    const bool is_text = micropython::is_utf8(identity, size);
    const mp_obj_t found = mp_call_function_1(
        callback, is_text ? mp_obj_new_str(reinterpret_cast<const char*>(identity), size) : asked);
    mp_buffer_info_t bytes;
    const bool none = mp_get_buffer(found, &bytes, MP_BUFFER_READ) && bytes.len == 0;
    return none ? mp_const_none : found;
}

bool uses_psk(const ussl_context_obj_t* context) {
    return context->psk_keys != mp_const_none || context->psk_server_callback != mp_const_none;
}

mp_uint_t ask_for_context(ussl_socket_obj_t* socket, const char* name, size_t size, void** chosen) {
    const mp_obj_t before = socket->context;
    const mp_obj_t arguments[3] = {MP_OBJ_FROM_PTR(socket),
                                   size != 0 ? mp_obj_new_str(name, size) : mp_const_none, before};
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

}  // namespace

extern "C" mp_uint_t ussl_call_sni(mp_obj_t socket, const char* name, size_t size, void** chosen,
                                   mp_obj_t* exception) {
    int errcode;
    return guarded(
        [=] {
            return ask_for_context(static_cast<ussl_socket_obj_t*>(MP_OBJ_TO_PTR(socket)), name,
                                   size, chosen);
        },
        &errcode, exception);
}

extern "C" mp_uint_t ussl_call_sign(mp_obj_t callback, mp_obj_t ecdsa_callback,
                                    const char* algorithm, const uint8_t* digest,
                                    size_t digest_size, const uint8_t* key, size_t key_size,
                                    uint8_t* signature, size_t capacity, mp_obj_t* exception) {
    int errcode;
    return guarded(
        [=]() -> mp_uint_t {
            const mp_obj_t to_sign = mp_obj_new_bytes(digest, digest_size);
            const bool is_ecdsa = strcmp(algorithm, "ecdsa") == 0;
            mp_obj_t made = mp_const_none;
            if (callback != mp_const_none) {
                made = mp_call_function_2(callback, mp_obj_new_str(algorithm, strlen(algorithm)),
                                          to_sign);
            } else if (is_ecdsa) {
                made = mp_call_function_2(ecdsa_callback, mp_obj_new_bytes(key, key_size), to_sign);
                if (made == mp_const_none)
                    return 0;
            } else {
                return 0;
            }
            mp_buffer_info_t bytes;
            if (mp_obj_is_str(made) || !mp_get_buffer(made, &bytes, MP_BUFFER_READ))
                mp_raise_TypeError(MP_ERROR_TEXT("a sign callback must return bytes"));
            if (bytes.len == 0 || bytes.len > capacity)
                mp_raise_msg_varg(&mp_type_ValueError,
                                  MP_ERROR_TEXT("a sign callback must return 1 to %d bytes"),
                                  static_cast<int>(capacity));
            if (is_ecdsa && *static_cast<const byte*>(bytes.buf) != 0x30)
                mp_raise_ValueError(MP_ERROR_TEXT("a signature of ECDSA must be DER"));
            memcpy(signature, bytes.buf, bytes.len);
            return bytes.len;
        },
        &errcode, exception);
}

extern "C" bool ussl_append_line(mp_obj_t filename, const char* line, size_t size,
                                 mp_obj_t* exception) {
    int errcode;
#if defined(__unix__)
    // A file created here contains secrets. MicroPython's open() has no argument for permissions.
    const mode_t before = umask(S_IRWXG | S_IRWXO);
#endif
    const bool is_added =
        guarded(
            [=]() -> mp_uint_t {
                const mp_obj_t arguments[2] = {filename, MP_OBJ_NEW_QSTR(MP_QSTR_a)};
                const mp_obj_t file =
                    mp_call_function_n_kw(MP_OBJ_FROM_PTR(&mp_builtin_open_obj), 2, 0, arguments);
                vstr_t vstr;
                vstr_init(&vstr, size + 2);
                vstr_add_strn(&vstr, line, size);
                vstr_add_byte(&vstr, '\n');
                mp_stream_write(file, vstr.buf, vstr.len, MP_STREAM_RW_WRITE);
                mp_stream_close(file);
                return 0;
            },
            &errcode, exception) != USSL_RAISED;
#if defined(__unix__)
    umask(before);
#endif
    return is_added;
}

extern "C" mp_uint_t ussl_call_verify(mp_obj_t callback, const uint8_t* certificate, size_t size,
                                      int depth, mp_obj_t* exception) {
    int errcode;
    return guarded(
        [=]() -> mp_uint_t {
            mp_obj_t copy = mp_obj_new_bytes(certificate, size);  // the program may keep it
#if MICROPY_PY_BUILTINS_MEMORYVIEW
            // MicroPython's own module passes a memoryview.
            mp_buffer_info_t bytes;
            mp_get_buffer_raise(copy, &bytes, MP_BUFFER_READ);
            copy = mp_obj_new_memoryview('B', bytes.len, bytes.buf);
#endif
            const mp_obj_t answer = mp_call_function_2(callback, copy, MP_OBJ_NEW_SMALL_INT(depth));
            // A bool is rejected: CPython's callbacks return True to accept, this one returns 0.
            if (!mp_obj_is_int(answer))
                mp_raise_TypeError(
                    MP_ERROR_TEXT("verify_callback must return an int: 0 to accept"));
            return mp_obj_is_true(answer) ? 1 : 0;
        },
        &errcode, exception);
}

extern "C" mp_uint_t ussl_call_psk_get(bool strict, mp_obj_t psk_keys, mp_obj_t callback,
                                       const uint8_t* identity, size_t identity_size, uint8_t* key,
                                       size_t key_capacity, mp_obj_t* exception) {
    int errcode;
    return guarded(
        [=]() -> mp_uint_t {
            const mp_obj_t found = ask_for_key(psk_keys, callback, identity, identity_size);
            if (found == mp_const_none)
                return 0;
            mp_buffer_info_t bytes;
            const bool is_bytes =
                !mp_obj_is_str(found) && mp_get_buffer(found, &bytes, MP_BUFFER_READ);
            const bool fits = is_bytes && bytes.len != 0 && bytes.len <= key_capacity;
            if (!fits && !strict)
                ussl_raise_row(static_cast<unsigned>(ussl::Code::PSK_INVALID));
            if (!is_bytes)
                mp_raise_TypeError(MP_ERROR_TEXT("psk_keys.get must return bytes or None"));
            if (!fits)
                mp_raise_ValueError(MP_ERROR_TEXT("psk_keys.get must return 1 to 48 bytes"));
            memcpy(key, bytes.buf, bytes.len);
            return bytes.len;
        },
        &errcode, exception);
}

// The unix port's sockets have no finaliser. Closing one twice could close another file with the
// same number. An unreachable socket is therefore closed only if its descriptor is still the same
// file. Sockets of other ports have finalisers.
extern "C" uint64_t ussl_stream_identity(mp_obj_t stream) {
#if defined(__unix__)
#ifdef USSL_READS_AHEAD
    if (mp_obj_is_exact_type(stream, &ussl_unwrapped_type))
        stream = static_cast<const ussl_unwrapped_obj_t*>(MP_OBJ_TO_PTR(stream))->stream;
#endif
    struct stat status;
    const int fd = ussl_stream_descriptor(stream);
    if (fd < 0 || fstat(fd, &status) != 0)
        return 0;
    return static_cast<uint64_t>(status.st_dev) << 48 ^ static_cast<uint64_t>(status.st_ino);
#else
    (void)stream;
    return 0;
#endif
}

extern "C" uint8_t ussl_stream_kind(mp_obj_t stream) {
#if defined(__unix__)
    if (mp_obj_is_exact_type(stream, &mp_type_socket))
        return USSL_STREAM_SOCKET;
    if (ussl_stream_descriptor(stream) >= 0)
        return USSL_STREAM_POLLED;
#else
    (void)stream;
#endif
    return USSL_STREAM_BLOCKS;
}

#if defined(__unix__)
namespace {

// Does not raise.
int descriptor_of_socket(mp_obj_t stream) {
    int error;
    return static_cast<int>(mp_get_stream(stream)->ioctl(stream, MP_STREAM_GET_FILENO, 0, &error));
}

mp_uint_t result_of(ssize_t count, int* errcode) {
    if (count >= 0)
        return static_cast<mp_uint_t>(count);
    *errcode = errno;
    return MP_STREAM_ERROR;
}

}  // namespace

extern "C" mp_uint_t ussl_stream_receive(mp_obj_t stream, void* buf, size_t size, int* errcode) {
    return result_of(recv(descriptor_of_socket(stream), buf, size, MSG_DONTWAIT), errcode);
}

extern "C" mp_uint_t ussl_stream_send(mp_obj_t stream, const void* buf, size_t size, int* errcode) {
    return result_of(send(descriptor_of_socket(stream), buf, size, MSG_DONTWAIT | MSG_NOSIGNAL),
                     errcode);
}
#endif

extern "C" bool ussl_stream_reads_ahead(mp_obj_t stream) {
#ifdef USSL_READS_AHEAD
    return mp_obj_is_exact_type(stream, &mp_type_socket);
#else
    (void)stream;
    return false;
#endif
}

extern "C" uint32_t ussl_stream_timeout_ms(mp_obj_t stream) {
#if defined(__unix__)
    struct timeval timeout = {};
    socklen_t size = sizeof timeout;
    const int fd = ussl_stream_descriptor(stream);
    if (fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, &size) == 0)
        return static_cast<uint32_t>(timeout.tv_sec * 1000 + timeout.tv_usec / 1000);
#else
    (void)stream;
#endif
    return 0;
}

extern "C" void ussl_stream_wait(mp_obj_t stream, mp_uint_t flags, uint32_t max_ms,
                                 mp_obj_t* exception) {
#if defined(__unix__)
    const int fd = ussl_stream_descriptor(stream);
    if (fd >= 0) {
        struct pollfd ask = {fd, static_cast<short>(flags), 0};
        MP_THREAD_GIL_EXIT();
        constexpr uint32_t longest_ms = USSL_LONGEST_WAIT_MS;
        poll(&ask, 1, static_cast<int>(max_ms < longest_ms ? max_ms : longest_ms));
        MP_THREAD_GIL_ENTER();
        ussl_handle_pending(exception);
        return;
    }
#else
    (void)stream, (void)flags, (void)max_ms;
#endif
    int error;
    guarded(
        [] {
            mp_event_wait_ms(1);
            return mp_uint_t{0};
        },
        &error, exception);
}

extern "C" void ussl_handle_pending(mp_obj_t* exception) {
    int error;
    guarded(
        [] {
            micropython::handle_pending();
            return mp_uint_t{0};
        },
        &error, exception);
}

extern "C" bool ussl_stream_never_blocks(mp_obj_t stream) {
#if defined(__unix__)
    const int fd = ussl_stream_descriptor(stream);
    const int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
#else
    (void)stream;
    return false;
#endif
}

extern "C" int ussl_stream_descriptor(mp_obj_t stream) {
    int error;
    mp_obj_t exception;
    // Another thread may have closed the socket meanwhile.
    if (stream == MP_OBJ_NULL)
        return -1;
    // An SSLSocket has no descriptor; MP_STREAM_GET_FILENO returns a token for polls.
    if (ussl_stream_is_python(stream) || mp_obj_is_exact_type(stream, &ussl_socket_type))
        return -1;
    const mp_uint_t fd = ussl_stream_ioctl(stream, MP_STREAM_GET_FILENO, 0, &error, &exception);
    return fd == MP_STREAM_ERROR || fd == USSL_RAISED ? -1 : static_cast<int>(fd);
}

extern "C" const void* ussl_thread(void) {
#if MICROPY_PY_THREAD
    return mp_thread_get_state();
#else
    static const char only = 0;
    return &only;
#endif
}

extern "C" void ussl_let_threads_run(unsigned times) {
    MP_THREAD_GIL_EXIT();
#if defined(__unix__)
    constexpr unsigned at_once = 16;
    constexpr struct timespec a_moment = {0, 50'000};
    if (times < at_once)
        sched_yield();
    else
        nanosleep(&a_moment, nullptr);
#else
    (void)times;
#endif
    MP_THREAD_GIL_ENTER();
}

extern "C" void ussl_stream_close_forgotten(mp_obj_t stream, uint64_t identity) {
    int error;
    mp_obj_t exception;
    if (identity != 0 && ussl_stream_identity(stream) == identity)
        ussl_stream_ioctl(stream, MP_STREAM_CLOSE, 0, &error, &exception);
}
