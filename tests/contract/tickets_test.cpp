// The keys of a server's tickets of TLS 1.2, over hours.

#include "openssl/tickets.hpp"

#include <algorithm>
#include <string>

#include "contract.hpp"
#include "policy/limits.hpp"

namespace contract {
namespace {

using std::chrono::seconds;
using ussl::openssl::TicketKeys;

class Tickets : public testing::Test {
  protected:
    struct Ticket {
        unsigned char name[TicketKeys::name_size];
        unsigned char iv[EVP_MAX_IV_LENGTH];
        std::string sealed;
    };

    Ticket seal(seconds when) {
        Ticket ticket;
        EXPECT_EQ(use(ticket, when, true), 1);
        ticket.sealed = run("a session", true);
        return ticket;
    }
    /// Its content; empty: a full handshake.
    std::string open(Ticket ticket, seconds when) {
        return use(ticket, when, false) == 1 ? run(ticket.sealed, false) : "";
    }

    static constexpr seconds lifetime{ussl::policy::ticket_lifetime};

  private:
    int use(Ticket& ticket, seconds when, bool seals) {
        return keys_->use(ticket.name, ticket.iv, cipher_, mac_, seals, start_ + when);
    }
    std::string run(const std::string& in, bool seals) {
        std::string out(in.size() + 64, '\0');
        auto* to = reinterpret_cast<unsigned char*>(out.data());
        int size = 0;
        int rest = 0;
        EXPECT_EQ(
            EVP_CipherUpdate(cipher_, to, &size, reinterpret_cast<const unsigned char*>(in.data()),
                             static_cast<int>(in.size())),
            1);
        const int good = EVP_CipherFinal_ex(cipher_, to + size, &rest);
        EXPECT_TRUE(good == 1 || !seals);
        out.resize(good == 1 ? static_cast<std::size_t>(size + rest) : 0);
        return out;
    }

    TicketKeys own_keys_;
    TicketKeys::Clock::time_point start_ = TicketKeys::Clock::now();
    EVP_CIPHER_CTX* cipher_ = EVP_CIPHER_CTX_new();
    EVP_MAC* hmac_ = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    EVP_MAC_CTX* mac_ = EVP_MAC_CTX_new(hmac_);

  protected:
    TicketKeys* keys_ = &own_keys_;

    ~Tickets() override {
        EVP_MAC_CTX_free(mac_);
        EVP_MAC_free(hmac_);
        EVP_CIPHER_CTX_free(cipher_);
    }
};

TEST_F(Tickets, AreOpenedForALifetime) {
    const Ticket first = seal(seconds(0));
    EXPECT_EQ(open(first, seconds(0)), "a session");
    const Ticket last = seal(lifetime - seconds(1));
    EXPECT_TRUE(std::ranges::equal(first.name, last.name));
    EXPECT_FALSE(std::ranges::equal(first.iv, last.iv));
    const Ticket other = seal(lifetime + seconds(1));
    EXPECT_FALSE(std::ranges::equal(first.name, other.name));
    EXPECT_NE(first.sealed, other.sealed);
    EXPECT_EQ(open(last, 2 * lifetime - seconds(1)), "a session");
    EXPECT_EQ(open(other, 2 * lifetime), "a session");
}

TEST_F(Tickets, AreNotOpenedByKeysThatAreGone) {
    const Ticket first = seal(seconds(0));
    const Ticket second = seal(lifetime + seconds(1));
    EXPECT_EQ(open(first, 2 * lifetime + seconds(2)), "");
    EXPECT_EQ(open(second, 2 * lifetime + seconds(2)), "a session");
    // After a long silence, neither is there.
    EXPECT_EQ(open(second, 10 * lifetime), "");
    EXPECT_EQ(open(first, 10 * lifetime), "");
}

TEST_F(Tickets, OfAnotherServerAreNotOpened) {
    Ticket ticket = seal(seconds(0));
    ticket.name[0] ^= 1;
    EXPECT_EQ(open(ticket, seconds(0)), "");
    const Ticket mine = seal(seconds(0));
    TicketKeys others;
    EXPECT_EQ(open(mine, seconds(0)), "a session");
    keys_ = &others;
    EXPECT_EQ(open(mine, seconds(0)), "");
}

}  // namespace
}  // namespace contract
