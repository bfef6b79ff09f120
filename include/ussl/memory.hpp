#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace ussl {

/// Where ussl's own memory comes from: malloc on a host; a port gives its own functions (see
/// docs/porting/README.md). Returns nullptr when there is none; nothing here ever throws.
void* allocate(std::size_t bytes) noexcept;
void release(void* memory) noexcept;
/// A call of the library is over: a port that keeps released memory at hand lets go of it.
void trim() noexcept;
/// A resource has run out that forgotten objects may hold: a port with a garbage collector runs it.
void collect() noexcept;
struct TrimAtEnd {
    TrimAtEnd() = default;
    TrimAtEnd(const TrimAtEnd&) = delete;
    TrimAtEnd& operator=(const TrimAtEnd&) = delete;
    ~TrimAtEnd() { trim(); }
};

/// Base of everything that ussl puts on the heap: `new` gives nullptr instead of throwing, and no
/// global operator new or delete is ever needed.
struct OnHeap {
    static void* operator new(std::size_t bytes) noexcept { return allocate(bytes); }
    static void operator delete(void* memory) noexcept { release(memory); }
};

template <class T>
using Owned = std::unique_ptr<T>;

/// For std::unique_ptr over what allocate() gave.
struct Release {
    void operator()(void* memory) const noexcept { release(memory); }
};

/// Overwrites memory that held a secret; never optimised away.
void wipe(void* memory, std::size_t bytes) noexcept;

/// Secret bytes of bounded length, held in place and wiped when released.
template <std::size_t capacity>
class Secret {
  public:
    Secret() = default;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(data_, capacity); }

    unsigned char* data() { return data_; }
    [[nodiscard]] const unsigned char* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    void set_size(std::size_t n) { size_ = n; }

  private:
    unsigned char data_[capacity] = {};
    std::size_t size_ = 0;
};

/// Secret bytes of any length, on the heap and wiped when released. Empty if there was no memory.
class SecretBytes {
  public:
    SecretBytes() = default;
    explicit SecretBytes(std::size_t bytes)
        : data_(static_cast<unsigned char*>(allocate(bytes))),
          size_(data_ != nullptr ? bytes : 0) {}
    SecretBytes(SecretBytes&& other) noexcept : data_(other.data_), size_(other.size_) {
        other.data_ = nullptr;
        other.size_ = 0;
    }
    SecretBytes& operator=(SecretBytes other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    SecretBytes(const SecretBytes&) = delete;
    ~SecretBytes() {
        if (data_ != nullptr)
            wipe(data_, size_);
        release(data_);
    }

    [[nodiscard]] unsigned char* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] unsigned char* begin() const { return data_; }
    [[nodiscard]] unsigned char* end() const { return data_ + size_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }

  private:
    unsigned char* data_ = nullptr;
    std::size_t size_ = 0;
};

/// A counted pointer to a shared object with retain() and drop(); the collector of a garbage
/// collected language may release owner and owned in any order.
template <class T>
class Ref {
  public:
    Ref() = default;
    /// Takes over one count.
    explicit Ref(T* counted) : object_(counted) {}
    Ref(const Ref& other) : object_(other.object_) {
        if (object_ != nullptr)
            object_->retain();
    }
    Ref(Ref&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
    Ref& operator=(Ref other) noexcept {
        T* mine = object_;
        object_ = other.object_;
        other.object_ = mine;
        return *this;
    }
    ~Ref() {
        if (object_ != nullptr)
            object_->drop();
    }

    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    [[nodiscard]] T* get() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }
    /// Gives the count away, to be taken over by another Ref later.
    T* detach() {
        T* mine = object_;
        object_ = nullptr;
        return mine;
    }

  private:
    T* object_ = nullptr;
};

}  // namespace ussl
