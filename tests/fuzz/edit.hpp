#pragma once

// Changes to a peer's data that the input selects: of records, or of messages.

#include "fuzz.hpp"

namespace fuzz {

class Editor {
  public:
    explicit Editor(Input& input);

    /// Changes the next record (or message), perhaps to nothing. true: its lengths are to follow.
    bool next(std::string& unit);
    /// Changes the records in the ring from `from` on.
    void records(Ring& ring, std::size_t from);

    /// Whether anything has been changed so far.
    [[nodiscard]] bool changed() const { return changed_; }

  private:
    enum class Kind : std::uint8_t {
        flip,
        replace,
        insert,
        erase,
        cut,
        drop,
        twice,
        take_over,  ///< the input replaces all following data
        kMaxValue = take_over
    };
    struct Edit {
        Kind kind;
        std::uint8_t unit;
        std::uint16_t at;
        std::uint8_t count;
        bool fits;  ///< lengths follow
        std::string bytes;
    };

    void apply(const Edit& edit, std::string& unit);

    std::vector<Edit> edits_;
    unsigned units_ = 0;
    bool taken_over_ = false;
    bool changed_ = false;
};

/// Puts a message of the handshake back where Mbed TLS has made it; returns its size, at the most
/// `room`. It is no message without a header, whose length is Mbed TLS's to fill in.
std::size_t put_message(std::string message, std::uint8_t* at, std::size_t room);

}  // namespace fuzz
