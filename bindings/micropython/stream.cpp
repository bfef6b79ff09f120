// Reads, writes and polls streams, each call under nlr_push, so that an exception never unwinds
// through the engine. No object with a destructor may be alive in these functions.

#include "stream.hpp"

#include <string.h>

#if defined(__unix__)
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#endif

bool ussl_stream_is_python(mp_obj_t stream) {
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

}  // namespace

mp_uint_t ussl_guarded(mp_uint_t (*call)(void*), void* captured, int* errcode,
                       mp_obj_t* exception) {
    nlr_buf_t nlr;
    if (nlr_push(&nlr) != 0) {
        *exception = MP_OBJ_FROM_PTR(nlr.ret_val);
        return ussl_raised;
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

bool ussl_is_error(mp_obj_t exception) {
    return mp_obj_is_subclass_fast(MP_OBJ_FROM_PTR(mp_obj_get_type(exception)),
                                   MP_OBJ_FROM_PTR(&mp_type_Exception));
}

mp_uint_t ussl_stream_read(mp_obj_t stream, void* buf, size_t size, int* errcode,
                           mp_obj_t* exception) {
    return ussl_guarded([=] { return read_stream(stream, buf, size, errcode); }, errcode,
                        exception);
}

mp_uint_t ussl_stream_write(mp_obj_t stream, const void* buf, size_t size, int* errcode,
                            mp_obj_t* exception) {
    return ussl_guarded([=] { return write_stream(stream, buf, size, errcode); }, errcode,
                        exception);
}

mp_uint_t ussl_stream_ioctl(mp_obj_t stream, mp_uint_t request, uintptr_t arg, int* errcode,
                            mp_obj_t* exception) {
    return ussl_guarded([=] { return ioctl_stream(stream, request, arg, errcode); }, errcode,
                        exception);
}

mp_uint_t ussl_stream_poll(mp_obj_t stream, mp_uint_t flags, int* errcode, mp_obj_t* exception) {
#if defined(__unix__)
    const int fd = ussl_stream_descriptor(stream);
    if (fd >= 0) {
        struct pollfd ask = {fd, static_cast<short>(flags), 0};
        return poll(&ask, 1, 0) > 0 ? static_cast<mp_uint_t>(ask.revents) : 0;
    }
#endif
    return ussl_stream_ioctl(stream, MP_STREAM_POLL, flags, errcode, exception);
}

// The unix port's sockets have no finaliser. Closing one twice could close another file with the
// same number. An unreachable socket is therefore closed only if its descriptor is still the same
// file. Sockets of other ports have finalisers.
uint64_t ussl_stream_identity(mp_obj_t stream) {
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

StreamKind ussl_stream_kind(mp_obj_t stream) {
#if defined(__unix__)
    if (mp_obj_is_exact_type(stream, &mp_type_socket))
        return StreamKind::socket;
    if (ussl_stream_descriptor(stream) >= 0)
        return StreamKind::polled;
#else
    (void)stream;
#endif
    return StreamKind::blocks;
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

mp_uint_t ussl_stream_receive(mp_obj_t stream, void* buf, size_t size, int* errcode) {
    return result_of(recv(descriptor_of_socket(stream), buf, size, MSG_DONTWAIT), errcode);
}

mp_uint_t ussl_stream_send(mp_obj_t stream, const void* buf, size_t size, int* errcode) {
    return result_of(send(descriptor_of_socket(stream), buf, size, MSG_DONTWAIT | MSG_NOSIGNAL),
                     errcode);
}
#endif

bool ussl_stream_reads_ahead(mp_obj_t stream) {
#ifdef USSL_READS_AHEAD
    return mp_obj_is_exact_type(stream, &mp_type_socket);
#else
    (void)stream;
    return false;
#endif
}

uint32_t ussl_stream_timeout_ms(mp_obj_t stream) {
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

void ussl_stream_wait(mp_obj_t stream, mp_uint_t flags, uint32_t max_ms, mp_obj_t* exception) {
#if defined(__unix__)
    const int fd = ussl_stream_descriptor(stream);
    if (fd >= 0) {
        struct pollfd ask = {fd, static_cast<short>(flags), 0};
        MP_THREAD_GIL_EXIT();
        constexpr uint32_t longest_ms = ussl_longest_wait_ms;
        poll(&ask, 1, static_cast<int>(max_ms < longest_ms ? max_ms : longest_ms));
        MP_THREAD_GIL_ENTER();
        ussl_handle_pending(exception);
        return;
    }
#else
    (void)stream, (void)flags, (void)max_ms;
#endif
    ussl_guarded(
        [] {
            mp_event_wait_ms(1);
            return mp_uint_t{0};
        },
        exception);
}

void ussl_handle_pending(mp_obj_t* exception) {
    ussl_guarded(
        [] {
            micropython::handle_pending();
            return mp_uint_t{0};
        },
        exception);
}

bool ussl_stream_never_blocks(mp_obj_t stream) {
#if defined(__unix__)
    const int fd = ussl_stream_descriptor(stream);
    const int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0;
#else
    (void)stream;
    return false;
#endif
}

int ussl_stream_descriptor(mp_obj_t stream) {
    int error;
    mp_obj_t exception;
    // Another thread may have closed the socket meanwhile.
    if (stream == MP_OBJ_NULL)
        return -1;
    // An SSLSocket has no descriptor; MP_STREAM_GET_FILENO returns a token for polls.
    if (ussl_stream_is_python(stream) || mp_obj_is_exact_type(stream, &ussl_socket_type))
        return -1;
    const mp_uint_t fd = ussl_stream_ioctl(stream, MP_STREAM_GET_FILENO, 0, &error, &exception);
    return fd == MP_STREAM_ERROR || fd == ussl_raised ? -1 : static_cast<int>(fd);
}

const void* ussl_thread() {
#if MICROPY_PY_THREAD
    return mp_thread_get_state();
#else
    static const char only = 0;
    return &only;
#endif
}

void ussl_let_threads_run(unsigned times) {
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

void ussl_stream_close_forgotten(mp_obj_t stream, uint64_t identity) {
    int error;
    mp_obj_t exception;
    if (identity != 0 && ussl_stream_identity(stream) == identity)
        ussl_stream_ioctl(stream, MP_STREAM_CLOSE, 0, &error, &exception);
}
