#pragma once

// Streams of MicroPython. These functions keep the exceptions of a stream written in Python, so
// that none unwinds through the engine.

#include "binding.hpp"

/// Returned if Python code raised an exception, which is kept.
inline constexpr mp_uint_t ussl_raised = static_cast<mp_uint_t>(-2);

/// The longest wait for descriptors, in milliseconds. A signal may arrive just before the wait, and
/// another thread may close the socket or change the events that its connection waits for. Both are
/// detected after it.
inline constexpr int ussl_longest_wait_ms = 50;

/// Returns whether the stream is written in Python.
bool ussl_stream_is_python(mp_obj_t stream);
/// Returns whether the exception is an Exception; KeyboardInterrupt, SystemExit and similar are
/// not.
bool ussl_is_error(mp_obj_t exception);

/// Returns whether the errno means "would block": a later call may succeed.
inline bool ussl_would_block(int error) {
#if MP_EWOULDBLOCK != MP_EAGAIN
    if (error == MP_EWOULDBLOCK)
        return true;
#endif
    return error == MP_EAGAIN || error == MP_EINPROGRESS || error == MP_EALREADY;
}

/// Calls a function that may raise; keeps its exception, and returns ussl_raised. After a signal,
/// runs its handler, which may raise (Ctrl-C), and repeats the call.
mp_uint_t ussl_guarded(mp_uint_t (*call)(void*), void* captured, int* errcode, mp_obj_t* exception);

template <class Call>
mp_uint_t ussl_guarded(Call call, int* errcode, mp_obj_t* exception) {
    return ussl_guarded([](void* captured) { return (*static_cast<Call*>(captured))(); }, &call,
                        errcode, exception);
}

template <class Call>
mp_uint_t ussl_guarded(Call call, mp_obj_t* exception) {
    int errcode;
    return ussl_guarded(call, &errcode, exception);
}

mp_uint_t ussl_stream_read(mp_obj_t stream, void* buf, size_t size, int* errcode,
                           mp_obj_t* exception);
mp_uint_t ussl_stream_write(mp_obj_t stream, const void* buf, size_t size, int* errcode,
                            mp_obj_t* exception);
mp_uint_t ussl_stream_ioctl(mp_obj_t stream, mp_uint_t request, uintptr_t arg, int* errcode,
                            mp_obj_t* exception);
/// As ioctl() with MP_STREAM_POLL, also for files on the unix port, which do not support it.
mp_uint_t ussl_stream_poll(mp_obj_t stream, mp_uint_t flags, int* errcode, mp_obj_t* exception);
/// Returns a number that distinguishes a stream's file descriptor from later ones of the same
/// number; 0: the stream has none.
uint64_t ussl_stream_identity(mp_obj_t stream);
/// Returns the file descriptor; -1: none, or the stream is written in Python.
int ussl_stream_descriptor(mp_obj_t stream);
/// Returns how a call waits for the stream.
StreamKind ussl_stream_kind(mp_obj_t stream);
/// For StreamKind::socket: as read and write, without waiting in any mode of the socket.
mp_uint_t ussl_stream_receive(mp_obj_t stream, void* buf, size_t size, int* errcode);
mp_uint_t ussl_stream_send(mp_obj_t stream, const void* buf, size_t size, int* errcode);
/// Returns whether a read may request more than is needed.
bool ussl_stream_reads_ahead(mp_obj_t stream);
/// Returns whether the stream is known to be non-blocking.
bool ussl_stream_never_blocks(mp_obj_t stream);
/// Returns the time limit of a blocking stream in milliseconds; 0: no limit, or unknown.
uint32_t ussl_stream_timeout_ms(mp_obj_t stream);
/// Waits until the stream is ready for one of the poll flags, or for a short time, at most
/// `max_ms`. Then runs scheduled functions and signal handlers; keeps their exceptions (Ctrl-C).
void ussl_stream_wait(mp_obj_t stream, mp_uint_t flags, uint32_t max_ms, mp_obj_t* exception);
/// Runs scheduled functions and signal handlers; keeps their exceptions.
void ussl_handle_pending(mp_obj_t* exception);
/// Returns the calling thread, a different value for each.
const void* ussl_thread();
/// Lets other threads run, for longer if `times` is higher.
void ussl_let_threads_run(unsigned times);
/// For the collector: closes the stream of an unreachable socket if the stream has no finaliser.
void ussl_stream_close_forgotten(mp_obj_t stream, uint64_t identity);
