// Creates the ussl::Context of an SSLContext, and shares it between connections.

#include <string.h>

#include <atomic>
#include <utility>

#include "context.hpp"
#include "errors.hpp"

namespace {

namespace features = ussl::features;
using ussl::Context;
using ussl::Options;

// The contexts of wrap_socket(), which creates an SSLContext in each call. Calls with equal options
// share a ussl::Context while any of their SSLContexts is alive, so that keys and certificates are
// not parsed again. Then, a context with a key is dropped at once. Client contexts without keys
// stay for later calls, with their trust anchors and sessions.
struct Shared {
    uint8_t digest[32];
    Context* context;  // counted once for this table
    unsigned users;    // SSLContexts
    uint32_t last_use;
};
Shared shared[8];
// The most unused contexts.
#ifdef USSL_BOARD
constexpr unsigned max_kept = 1;
#else
constexpr unsigned max_kept = 4;
#endif
uint32_t uses;
std::atomic_flag shared_lock = ATOMIC_FLAG_INIT;

// Threads of the unix port run at the same time. Nothing may allocate or raise under the lock.
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

// If the table is full, replaces the context that was used longest ago. Its sockets keep it alive.
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

// If more than `most` contexts are unused, removes the one that was used longest ago from the
// table. The caller drops it.
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
    if constexpr (!features::context_sharing)
        return;
    while (Context* context = take_unused(most))
        context->drop();
}

void leave_shared(const Context* context, bool keep) {
    if constexpr (!features::context_sharing)
        return;
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

// Stores a new ussl::Context in its SSLContext, unless another thread was faster, or the options
// have changed since. Returns the one to use for a connection, with a reference for the caller.
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
            used = self->made;
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

// Returns the error, if any.
std::optional<ussl::ConfigError> make(ussl_context_obj_t* self, Context** result) {
    const uint32_t generation = self->generation;
    const ussl::Engine& engine = ussl::default_engine();
    const Options options = ussl_options_of(self);
    uint8_t digest[32];
    const bool share = features::context_sharing && self->share != 0 &&
                       ussl::options_digest(engine, options, digest);
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

// Returns the ussl::Context with a reference for the caller; nullptr: it does not exist yet.
Context* made_of(ussl_context_obj_t* self) {
    const SharedLock lock;
    Context* made = self->made;
    if (made != nullptr)
        made->retain();
    return made;
}

}  // namespace

extern "C" void ussl_context_heap_ends() {
    // No other thread runs: the collector has stopped them. SSLContexts and sockets that are
    // finalised later drop their own references.
    if constexpr (features::context_sharing)
        for (Shared& entry : shared)
            if (Context* context = std::exchange(entry, {}).context)
                context->drop();
    ussl::shut_down(ussl::default_engine());
}

void ussl_context_trim() {
    drop_unused(0);
}

Context* ussl_context_get(ussl_context_obj_t* self, const ussl_sources_t* sources) {
    if (Context* before = made_of(self))
        return before;
    Context* result = nullptr;
    std::optional<ussl::ConfigError> config_error = make(self, &result);
    if (config_error && config_error->out_of_memory) {
        // Unreachable sockets own memory that the collector does not count.
        ussl_context_trim();
        gc_collect();
        config_error = make(self, &result);
    }
    if (config_error)
        ussl_raise(*config_error, sources, self);
    return result;
}

void ussl_context_check(ussl_context_obj_t* self, const ussl_sources_t* sources) {
    ussl_context_get(self, sources)->drop();
}

void ussl_context_changed(ussl_context_obj_t* self) {
    Context* made = nullptr;
    bool is_shared = false;
    bool keeps = false;
    {
        const SharedLock lock;
        made = self->made;
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
