// What the library makes of an SSLContext, once for several connections.

#include <string.h>

#include <atomic>
#include <utility>

#include "context.hpp"
#include "errors.hpp"

namespace {

using ussl::Context;
using ussl::Options;

// The contexts of wrap_socket(), which makes one for every call: calls with the same options share
// one for as long as the collector leaves any of them alive, so that keys and certificates are not
// parsed again and again. Holds no key longer than the sockets that use it would; those that have
// none, a client's that has roots at the most, stay for later calls, and with them their sessions.
struct Shared {
    uint8_t digest[32];
    Context* context;  // counted once for this table
    unsigned users;
    uint32_t last_use;
};
Shared shared[8];
// Of those that nobody uses.
#ifdef USSL_BOARD
constexpr unsigned max_kept = 1;
#else
constexpr unsigned max_kept = 4;
#endif
uint32_t uses;
std::atomic_flag shared_lock = ATOMIC_FLAG_INIT;

// Threads of the unix port run at the same time. Nothing is allocated or raised while it is held.
class SharedLock {
  public:
    SharedLock() {
        while (shared_lock.test_and_set(std::memory_order_acquire)) {
        }
    }
    ~SharedLock() { shared_lock.clear(std::memory_order_release); }
    SharedLock(const SharedLock&) = delete;
    SharedLock& operator=(const SharedLock&) = delete;
};

Context* find_shared(const uint8_t* digest) {
    const SharedLock lock;
    for (Shared& entry : shared) {
        if (entry.context == nullptr || memcmp(entry.digest, digest, 32) != 0)
            continue;
        ++entry.users;
        entry.last_use = ++uses;
        entry.context->retain();
        return entry.context;
    }
    return nullptr;
}

// Replaces the one that was used longest ago if there is no room: its sockets keep it.
void add_shared(const uint8_t* digest, Context* context) {
    Context* replaced = nullptr;
    {
        const SharedLock lock;
        Shared* place = &shared[0];
        for (Shared& entry : shared) {
            if (entry.context == nullptr) {
                place = &entry;
                break;
            }
            if (uses - entry.last_use > uses - place->last_use)
                place = &entry;
        }
        replaced = place->context;
        memcpy(place->digest, digest, 32);
        place->context = context;
        place->users = 1;
        place->last_use = ++uses;
        context->retain();
    }
    if (replaced != nullptr)
        replaced->drop();
}

// Of those that nobody uses, the one that was used longest ago, if there are more than `most`; out
// of the table, for the caller to drop.
Context* take_unused(unsigned most) {
    const SharedLock lock;
    Shared* oldest = nullptr;
    unsigned unused = 0;
    for (Shared& entry : shared) {
        if (entry.context == nullptr || entry.users != 0)
            continue;
        ++unused;
        if (oldest == nullptr || uses - entry.last_use > uses - oldest->last_use)
            oldest = &entry;
    }
    if (unused <= most)
        return nullptr;
    Context* context = oldest->context;
    *oldest = {};
    return context;
}

void drop_unused(unsigned most) {
    while (Context* context = take_unused(most))
        context->drop();
}

void leave_shared(const Context* context, bool keep) {
    Context* gone = nullptr;
    {
        const SharedLock lock;
        for (Shared& entry : shared) {
            if (entry.context != context || --entry.users != 0 || keep)
                continue;
            gone = entry.context;
            entry = {};
        }
    }
    if (gone != nullptr)
        gone->drop();
    drop_unused(max_kept);
}

// Gives the context what was made of it, unless another thread was quicker, or it has changed
// since. Returns, counted, what a connection is to be made with.
Context* publish(ussl_context_obj_t* self, Context* mine, bool is_shared, bool keeps,
                 uint32_t generation) {
    Context* used = mine;
    bool published = false;
    {
        const SharedLock lock;
        if (self->generation == generation && self->made == nullptr) {
            self->made = mine;
            self->is_shared = is_shared;
            self->keeps = keeps;
            published = true;
        } else if (self->generation == generation) {
            used = static_cast<Context*>(self->made);
        }
        used->retain();
    }
    if (!published) {
        if (is_shared)
            leave_shared(mine, keeps);
        mine->drop();
    }
    return used;
}

// Why not; none: it was made.
std::optional<ussl::ConfigError> make(ussl_context_obj_t* self, Context** result) {
    const uint32_t generation = self->generation;
    const ussl::Engine& engine = ussl::default_engine();
    const Options options = ussl_options_of(self);
    uint8_t digest[32];
    const bool share = self->share != 0 && ussl::options_digest(engine, options, digest);
    Context* mine = share ? find_shared(digest) : nullptr;
    bool is_shared = mine != nullptr;
    if (mine == nullptr) {
        auto made = Context::make(engine, options);
        if (!made)
            return made.error();
        is_shared = share;
        if (is_shared)
            add_shared(digest, made->get());
        mine = made->detach();
    }
    const bool keeps = self->server == 0 && !options.key && !options.psk_key;
    *result = publish(self, mine, is_shared, keeps, generation);
    return std::nullopt;
}

// Counted; nullptr: it is still to be made.
Context* made_of(ussl_context_obj_t* self) {
    const SharedLock lock;
    auto* made = static_cast<Context*>(self->made);
    if (made != nullptr)
        made->retain();
    return made;
}

}  // namespace

extern "C" {

void ussl_context_heap_ends() {
    // Nobody else runs: the collector has stopped the other threads. SSLContexts and sockets that
    // are finalised later drop their own counts.
    for (Shared& entry : shared)
        if (Context* context = std::exchange(entry, {}).context)
            context->drop();
    ussl::shut_down(ussl::default_engine());
}

void ussl_context_trim() {
    drop_unused(0);
}

void* ussl_context_get(ussl_context_obj_t* self, const ussl_sources_t* sources) {
    if (Context* before = made_of(self))
        return before;
    Context* result = nullptr;
    std::optional<ussl::ConfigError> config_error = make(self, &result);
    if (config_error && config_error->out_of_memory) {
        // What forgotten sockets hold is memory that the collector does not see.
        ussl_context_trim();
        gc_collect();
        config_error = make(self, &result);
    }
    if (config_error)
        ussl_raise(*config_error, sources, self);
    return result;
}

void ussl_context_drop(void* made) {
    static_cast<Context*>(made)->drop();
}

void ussl_context_check(ussl_context_obj_t* self, const ussl_sources_t* sources) {
    ussl_context_drop(ussl_context_get(self, sources));
}

}  // extern "C"

void ussl_context_changed(ussl_context_obj_t* self) {
    Context* made = nullptr;
    bool is_shared = false;
    bool keeps = false;
    {
        const SharedLock lock;
        made = static_cast<Context*>(self->made);
        is_shared = self->is_shared != 0;
        keeps = self->keeps != 0;
        self->made = nullptr;
        self->is_shared = 0;
        ++self->generation;
    }
    if (made == nullptr)
        return;
    if (is_shared)
        leave_shared(made, keeps);
    made->drop();
}
