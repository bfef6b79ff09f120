#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace ussl {

/// ussl's memory functions: malloc and free on a host; a port can define its own (see
/// docs/porting/README.md). allocate() returns nullptr if memory runs out. No function here throws.
void* allocate(std::size_t bytes) noexcept;
void release(void* memory) noexcept;
/// Called at the end of each call of the library: a port that caches released memory frees it here.
void trim() noexcept;
/// Called when a resource runs out that unreachable objects may own: a port with a garbage
/// collector runs it.
void collect() noexcept;
struct TrimAtEnd {
    TrimAtEnd() = default;
    TrimAtEnd(const TrimAtEnd&) = delete;
    TrimAtEnd& operator=(const TrimAtEnd&) = delete;
    ~TrimAtEnd() { trim(); }
};

/// Base of all classes that ussl allocates. `new` returns nullptr instead of throwing, and the
/// program needs no global operator new or delete.
struct OnHeap {
    static void* operator new(std::size_t bytes) noexcept { return allocate(bytes); }
    static void operator delete(void* memory) noexcept { release(memory); }
};

template <class T>
using Owned = std::unique_ptr<T>;

/// The deleter of a std::unique_ptr to memory of allocate().
struct Release {
    void operator()(void* memory) const noexcept { release(memory); }
};

/// Overwrites memory that held a secret. The compiler cannot optimise the call away.
void wipe(void* memory, std::size_t bytes) noexcept;

/// Secret bytes up to a fixed capacity, stored in the object and wiped on destruction.
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

/// Secret bytes of any length, on the heap and wiped on release. Empty if the allocation failed.
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

/// A pointer to a reference-counted object with retain() and drop(). Reference counts allow a
/// garbage collector to release owner and owned object in any order.
template <class T>
class Ref {
  public:
    Ref() = default;
    /// Takes over one reference from the caller.
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
    /// Returns the pointer without dropping its reference; another Ref must take it over.
    T* detach() {
        T* mine = object_;
        object_ = nullptr;
        return mine;
    }

  private:
    T* object_ = nullptr;
};

}  // namespace ussl
