#include "callbacks.hpp"

#include <algorithm>
#include <cstring>

#include "context_internals.hpp"
#include "policy/certificates.hpp"
#include "policy/limits.hpp"
#include "text.hpp"
#include "ussl/context.hpp"

namespace ussl {
namespace {

// RFC 8446 §6
constexpr std::uint8_t illegal_parameter = 47;
constexpr std::uint8_t internal_error = 80;
constexpr std::uint8_t unrecognized_name = 112;

bool are_equal(Bytes one, const SecretBytes& other) {
    return std::equal(one.begin(), one.end(), other.data(), other.data() + other.size());
}

Bytes bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// RFC 6066 §3 only allows ASCII. UTF-8 is safe for programs; other bytes could not be a Python str.
bool is_name(std::string_view name) {
    constexpr std::size_t longest = 255;
    return name.size() <= longest && name.find('\0') == std::string_view::npos &&
           is_utf8(bytes_of(name));
}

}  // namespace

EngineCallbacks::EngineCallbacks(RecordTransport& transport) : transport_(transport) {}
EngineCallbacks::~EngineCallbacks() = default;

const EngineContext* EngineCallbacks::chosen_engine_context() const {
    return chosen_ ? &ContextInternals::engine(*chosen_) : nullptr;
}

std::uint8_t EngineCallbacks::refuse(Code code, std::uint8_t alert) {
    failure_.code = code;
    failure_.alert = Error::Alert::sent;
    failure_.alert_number = alert;
    return alert;
}

std::uint8_t EngineCallbacks::alert() const {
    return transport_.aborted() ? internal_error : failure_.alert_number;
}

std::uint8_t EngineCallbacks::remember(Bytes what, SecretBytes& into) {
    if (what.empty())
        return 0;
    into = SecretBytes(what.size());
    if (into.empty())
        return refuse(Code::NO_MEMORY, internal_error);
    std::memcpy(into.data(), what.data(), what.size());
    return 0;
}

std::uint8_t EngineCallbacks::choose_context(std::string_view name, bool uses_psk) {
    // RFC 8446 §4.1.2. Otherwise a client could be verified by the rules of one name, and then be
    // served under another name.
    if (std::exchange(has_name_, true))
        return are_equal(bytes_of(name), name_) ? 0 : refuse(Code::PROTOCOL, illegal_parameter);
    if (!is_name(name))
        return refuse(Code::PROTOCOL, unrecognized_name);
    if (const std::uint8_t alert = remember(bytes_of(name), name_))
        return alert;
    std::uint8_t alert = unrecognized_name;
    switch (transport_.callbacks().choose_context(name, chosen_, alert)) {
        case NameAnswer::good:
            break;
        case NameAnswer::refused:
            return refuse(Code::UNKNOWN_NAME, alert);
        case NameAnswer::aborted:
            transport_.abort();
            return internal_error;
    }
    // A chosen context must not replace certificates with pre-shared keys, or the reverse.
    const bool fits =
        !chosen_ || (chosen_->role() == Role::server && !chosen_->uses_psk() && !uses_psk);
    return fits ? 0 : refuse(Code::UNKNOWN_NAME, internal_error);
}

std::uint8_t EngineCallbacks::check_first_identity(Bytes identity) {
    // Longer identities are unknown, and their binder never verifies. The exact error does not
    // matter.
    identity = identity.first(std::min(identity.size(), max_psk_identity + 1));
    if (!std::exchange(has_identity_, true))
        return remember(identity, identity_);
    return are_equal(identity, identity_) ? 0 : refuse(Code::PROTOCOL, illegal_parameter);
}

// An unknown identity gets a random key, so that a client cannot distinguish it from a wrong key
// (RFC 4279 §2). The random key is generated for every client, so that the computing time does not
// differ.
Bytes EngineCallbacks::find_psk(Bytes identity, RandomBytes random) {
    if (key_size_ != 0)
        return {key_.data(), key_size_};
    Secret<policy::random_psk> spare;
    key_ = SecretBytes(max_psk_key);
    if (key_.empty()) {
        refuse(Code::NO_MEMORY, internal_error);
        return {};
    }
    if (!random({spare.data(), policy::random_psk})) {
        refuse(Code::ENGINE, internal_error);
        return {};
    }
    PskAnswer answer = PskAnswer::unknown;
    std::size_t size = 0;
    if (!identity.empty() && identity.size() <= max_psk_identity)
        answer = transport_.callbacks().find_psk(identity, {key_.data(), key_.size()}, size);
    psk_identity_unknown_ = answer == PskAnswer::unknown;
    if (psk_identity_unknown_) {
        size = policy::random_psk;
        std::memcpy(key_.data(), spare.data(), size);
    }
    if (answer == PskAnswer::aborted || size == 0 || size > max_psk_key) {
        transport_.abort();
        return {};
    }
    key_size_ = static_cast<std::uint8_t>(size);
    return {key_.data(), key_size_};
}

std::uint16_t EngineCallbacks::verify_certificate(Bytes certificate, int depth) {
    if (transport_.aborted())
        return policy::failure_bit(Code::CERT_REJECTED);
    const CertificateDecision decision =
        transport_.callbacks().verify_certificate(certificate, depth);
    if (decision == CertificateDecision::aborted)
        transport_.abort();
    return decision == CertificateDecision::accepted ? 0 : policy::failure_bit(Code::CERT_REJECTED);
}

SignAnswer EngineCallbacks::sign(SignatureScheme scheme, Bytes digest, Bytes scalar,
                                 MutableBytes signature, std::size_t& length) {
    if (transport_.aborted())
        return SignAnswer::aborted;
    const SignAnswer answer =
        transport_.callbacks().sign(scheme, digest, scalar, signature, length);
    if (answer == SignAnswer::aborted)
        transport_.abort();
    return answer;
}

void EngineCallbacks::log_key(std::string_view line) {
    if (!transport_.aborted() && !transport_.callbacks().key_log(line))
        transport_.abort();
}

void EngineCallbacks::end_handshake() {
    name_ = {};
    identity_ = {};
    key_ = {};
    key_size_ = 0;
}

}  // namespace ussl
