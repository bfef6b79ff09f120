// An engine without cryptography, for tests only: it proves that an engine is one folder. Records
// have the headers of TLS, plain text, and a sum of their bytes. Pre-shared keys are compared as
// they are sent; certificates are not sent.

#include <algorithm>
#include <cstring>
#include <ctime>

#include "engine.hpp"
#include "ussl/certificate.hpp"
#include "ussl/context.hpp"

namespace ussl::toy {
namespace {

enum Type : std::uint8_t { alert = 21, handshake_message = 22, data = 23 };
// RFC 8446 §6
enum Alert : std::uint8_t {
    close_notify = 0,
    unexpected_message = 10,
    bad_record_mac = 20,
    decrypt_error = 51,
    protocol_version = 70,
    internal_error = 80,
};
// As many bytes are added as a tag has, and the number of a record: a sum, again and again.
constexpr std::size_t header = 5, sum = 24;

std::uint16_t sum_of(Bytes bytes) {
    unsigned all = 1;
    for (const std::uint8_t byte : bytes)
        all = all * 31 + byte;
    return static_cast<std::uint16_t>(all);
}

std::uint16_t number_at(const std::uint8_t* at) {
    return static_cast<std::uint16_t>(at[0] << 8 | at[1]);
}

struct ToyContext final : EngineContext {
    using EngineContext::EngineContext;
    static std::expected<Owned<EngineContext>, ConfigError> make(const ContextSettings& settings,
                                                                 const Options& options) {
        Owned<ToyContext> made{new ToyContext(settings)};
        if (!made)
            return std::unexpected(ConfigError{"out of memory", true});
        made->minimum = options.minimum_version;
        made->maximum = options.maximum_version;
        if (options.psk_identity && options.psk_key) {
            const Bytes identity = *options.psk_identity, key = *options.psk_key;
            std::memcpy(made->identity.data(), identity.data(), identity.size());
            made->identity.set_size(identity.size());
            std::memcpy(made->key.data(), key.data(), key.size());
            made->key.set_size(key.size());
        }
        return made;
    }
    Owned<EngineSession> make_session(SessionResources& resources, const HostName*) override;
    [[nodiscard]] StoreStats store_stats() const override { return {}; }
    [[nodiscard]] bool has_crls() const override { return false; }
    bool store_digest(std::span<std::uint8_t, 32>) const override { return true; }

    Version minimum = Version::none, maximum = Version::none;
    Secret<max_psk_identity> identity;
    Secret<max_psk_key> key;
};

class ToySession final : public EngineSession {
  public:
    ToySession(const ToyContext& context, SessionResources& resources)
        : EngineSession(resources), context_(context) {}

    // A client sends hello, the server answers, and the client confirms.
    Outcome handshake() override {
        const bool client = context_.settings().role == Role::client;
        for (;; ++step_) {
            if (step_ == 3)
                return Outcome::done();
            // Steps of which side sends: 0 the client, 1 the server, 2 the client.
            if (client == (step_ != 1)) {
                if (out_size_ == 0 && !is_queued_)
                    queue_hello();
                is_queued_ = true;
                if (const Outcome sent = send(); sent.kind != Outcome::Kind::done)
                    return sent;
                is_queued_ = false;
                continue;
            }
            if (const Outcome got = receive(); got.kind != Outcome::Kind::done)
                return got;
            if (type_ != handshake_message)
                return fail(Code::PROTOCOL, unexpected_message);
            if (const Outcome good = look_at_hello(); good.kind != Outcome::Kind::done)
                return good;
            body_at_ = body_size_ = 0;
        }
    }

    Outcome read(MutableBytes into) override {
        while (pending() == 0) {
            if (const Outcome got = receive(); got.kind != Outcome::Kind::done)
                return got;
            if (type_ != data)
                return fail(Code::PROTOCOL, unexpected_message);
            if (body_size_ == 0)
                return Outcome::want_read();
        }
        const std::size_t n = std::min(into.size(), pending());
        std::memcpy(into.data(), in_ + header + body_at_, n);
        body_at_ += n;
        return Outcome::done(n);
    }

    Outcome write(Bytes from) override {
        if (const Outcome before = send(); before.kind != Outcome::Kind::done)
            return before;
        queue(data, from);
        const Outcome sent = send();
        if (sent.kind == Outcome::Kind::done)
            return Outcome::done(from.size());
        return sent.kind == Outcome::Kind::want_write ? Outcome::want_write(from.size()) : sent;
    }

    Outcome flush() override { return send(); }

    Outcome close_notify() override {
        if (!said_close_notify_) {
            if (const Outcome before = send(); before.kind != Outcome::Kind::done)
                return before;
            const std::uint8_t warning[] = {1, toy::close_notify};
            queue(alert, warning);
            said_close_notify_ = true;
        }
        return send();
    }

    void release_idle_buffers() override {}
    Outcome resume(Bytes) override { return Outcome::failed(); }
    [[nodiscard]] std::size_t pending() const override { return body_size_ - body_at_; }
    [[nodiscard]] SessionFacts facts() const override {
        return {.version = version_, .cipher = {"TOY_PLAIN_TEXT", 0}, .alpn = {}};
    }
    [[nodiscard]] Bytes peer_certificate() const override { return {}; }
    bool describe_peer(CertificateVisitor&) const override { return false; }

  private:
    // The content of out_ has been sent.
    void queue(Type type, Bytes body) {
        out_[0] = type;
        out_[1] = out_[2] = 3;
        out_[3] = static_cast<std::uint8_t>((body.size() + sum) >> 8);
        out_[4] = static_cast<std::uint8_t>((body.size() + sum) & 0xFF);
        if (!body.empty())
            std::memcpy(out_ + header, body.data(), body.size());
        const std::uint16_t made = sum_of({out_, header + body.size()});
        out_size_ = header + body.size() + sum;
        for (std::size_t at = out_size_ - sum; at != out_size_; at += 2) {
            out_[at] = static_cast<std::uint8_t>(made >> 8);
            out_[at + 1] = static_cast<std::uint8_t>(made & 0xFF);
        }
        out_at_ = 0;
    }

    Outcome send() {
        while (out_at_ != out_size_) {
            const IoResult result = transport_.write({out_ + out_at_, out_size_ - out_at_});
            if (result.kind == IoResult::Kind::bytes)
                out_at_ += result.count;
            else if (result.kind == IoResult::Kind::would_block ||
                     result.kind == IoResult::Kind::timed_out)
                return Outcome::want_write();
            else
                return Outcome::failed();
        }
        out_at_ = out_size_ = 0;
        return Outcome::done();
    }

    // The next record: type_ and the body, whose bytes nobody has read yet.
    Outcome receive() {
        for (;;) {
            const std::size_t wanted = in_size_ < header ? header : header + number_at(in_ + 3);
            const bool is_bare_alert = in_[0] == alert && wanted == header + 2;
            if (in_size_ >= header &&
                (in_[1] != 3 || wanted > sizeof in_ || (wanted < header + sum && !is_bare_alert)))
                return fail(established() ? Code::RECORD_CORRUPT : Code::PROTOCOL,
                            unexpected_message);
            if (in_size_ >= header && in_size_ == wanted)
                break;
            const IoResult result = transport_.read({in_ + in_size_, wanted - in_size_});
            if (result.kind == IoResult::Kind::bytes)
                in_size_ += result.count;
            else if (result.kind == IoResult::Kind::would_block ||
                     result.kind == IoResult::Kind::timed_out)
                return Outcome::want_read();
            else
                return result.kind == IoResult::Kind::end ? Outcome::end() : Outcome::failed();
        }
        const std::size_t size = in_size_;
        in_size_ = 0;
        type_ = in_[0];
        if (type_ == alert && size == header + 2)  // without a sum, as other libraries send it
            return take_alert(in_[header + 1]);
        const std::uint16_t wanted = sum_of({in_, size - sum});
        for (std::size_t at = size - sum; at != size; at += 2)
            if (number_at(in_ + at) != wanted)
                return fail(established() ? Code::RECORD_CORRUPT : Code::PROTOCOL, bad_record_mac);
        body_at_ = 0;
        body_size_ = size - header - sum;
        if (type_ != alert)
            return Outcome::done();
        body_size_ = 0;
        return size == header + 2 + sum ? take_alert(in_[header + 1])
                                        : fail(Code::PROTOCOL, unexpected_message);
    }

    Outcome take_alert(std::uint8_t number) {
        if (number == toy::close_notify)
            return Outcome::end();
        failure_.code = Code::PROTOCOL;
        failure_.alert = Error::Alert::received;
        failure_.alert_number = number;
        return Outcome::failed();
    }

    Outcome fail(Code code, std::uint8_t number) {
        body_at_ = body_size_ = 0;
        failure_ = {};
        failure_.code = code;
        failure_.alert = Error::Alert::sent;
        failure_.alert_number = number;
        const std::uint8_t fatal[] = {2, number};
        if (send().kind == Outcome::Kind::done)
            queue(alert, fatal);
        (void)send();
        return Outcome::failed();
    }

    // The versions, and a client's identity and key with their lengths.
    void queue_hello() {
        std::uint8_t hello[6 + max_psk_identity + max_psk_key];
        std::size_t size = 0;
        for (const Version version : {context_.minimum, context_.maximum}) {
            const Version said = version_ != Version::none ? version_ : version;
            hello[size++] = static_cast<std::uint8_t>(static_cast<unsigned>(said) >> 8);
            hello[size++] = static_cast<std::uint8_t>(static_cast<unsigned>(said) & 0xFF);
        }
        const auto add = [&](const auto& secret) {
            hello[size++] = static_cast<std::uint8_t>(secret.size());
            std::memcpy(hello + size, secret.data(), secret.size());
            size += secret.size();
        };
        add(context_.identity);
        add(context_.key);
        queue(handshake_message, {hello, size});
    }

    Outcome look_at_hello() {
        Bytes hello{in_ + header, body_size_};
        if (hello.size() < 6 || hello.size() < 6U + hello[4] ||
            hello.size() != 6U + hello[4] + hello[5 + hello[4]])
            return fail(Code::PROTOCOL, unexpected_message);
        const auto least = static_cast<Version>(number_at(hello.data()));
        const auto most = static_cast<Version>(number_at(hello.data() + 2));
        const Version newest = std::min(most, context_.maximum);
        if (newest < std::max(least, context_.minimum))
            return fail(Code::NO_SHARED_VERSION, protocol_version);
        version_ = newest;
        const ContextSettings& settings = context_.settings();
        if (step_ != 0 || settings.role != Role::server || !settings.uses_psk)
            return Outcome::done();
        const Bytes identity = hello.subspan(5, hello[4]);
        const Bytes key = hello.subspan(6U + hello[4]);
        const Bytes known = callbacks_.find_psk(identity, [](MutableBytes into) {
            std::ranges::fill(into, 0);
            return true;
        });
        if (known.empty())
            return fail(Code::ENGINE, internal_error);
        return std::ranges::equal(key, known) ? Outcome::done()
                                              : fail(Code::PSK_KEY, decrypt_error);
    }

    [[nodiscard]] bool established() const { return step_ == 3; }

    const ToyContext& context_;
    int step_ = 0;
    bool is_queued_ = false;
    bool said_close_notify_ = false;
    Version version_ = Version::none;
    std::uint8_t type_ = 0;
    std::size_t in_size_ = 0, body_at_ = 0, body_size_ = 0;
    std::size_t out_at_ = 0, out_size_ = 0;
    std::uint8_t in_[header + max_record_size + sum];
    std::uint8_t out_[header + max_record_size + sum];
};

Owned<EngineSession> ToyContext::make_session(SessionResources& resources, const HostName*) {
    return Owned<EngineSession>{new ToySession(*this, resources)};
}

}  // namespace
}  // namespace ussl::toy

namespace ussl {

extern const Engine toy_engine;
const Engine toy_engine{
    .version = [] { return std::string_view{"Toy"}; },
    .has_system_store = true,
    .has_root_store = false,
    .has_tls1_3 = true,
    .has_psk = true,
    .has_alpn = false,
    .has_crls = false,
    .has_signing_by_program = true,
    .for_each_suite = [](SuiteVisitor&) { return true; },
    .best_groups = {},
    .find_groups = [] { return std::optional<std::uint32_t>{0}; },
    .sha256 =
        [](std::span<const Bytes> parts, std::span<std::uint8_t, 32> out) {
            std::ranges::fill(out, 0);
            std::size_t at = 0;
            for (const Bytes part : parts)
                for (const std::uint8_t byte : part)
                    out[at++ % out.size()] ^= byte;
            return true;
        },
    .now = [] { return static_cast<std::int64_t>(std::time(nullptr)); },
    .random =
        [](MutableBytes out) {
            std::ranges::fill(out, 0);
            return true;
        },
    .crypto = nullptr,
    .describe = [](Bytes, CertificateVisitor&) { return false; },
    .make_self_signed = [](const SelfSignedFor&, SelfSigned&) -> std::optional<ConfigError> {
        return ConfigError{"this engine has no certificates"};
    },
    .make_context = toy::ToyContext::make,
    .shut_down = [] {},
    .wipe_released_memory = [] { return true; },
};

}  // namespace ussl
