// No session resumption: the Mbed TLS of a port does not give access to the handshake state that
// ussl needs.

#include "mbedtls.hpp"

#if !USSL_HAS_RESUMPTION

namespace ussl::mbedtls {

bool MbedContext::set_up_sessions(const Options&) {
    return true;
}
void MbedSession::keep_session() {}
Outcome MbedSession::resume(Bytes) {
    return Outcome::failed();
}
void MbedSession::note_resumption() {}
bool MbedSession::may_resume() {
    return true;
}
Outcome MbedSession::refuse_resumption() {
    return Outcome::failed();
}
void MbedSession::forget_cached_session() {}
void MbedSession::forget_declined_session() {}
int MbedSession::take_ticket() {
    return 0;
}
bool MbedSession::waits_for_ticket() const {
    return false;
}

}  // namespace ussl::mbedtls

#endif
