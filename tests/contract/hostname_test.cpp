// Who a certificate is for (RFC 9525).

#include "contract.hpp"

namespace contract {
namespace {

bool parses(std::string_view text) {
    ussl::HostName name;
    return name.parse(text);
}

bool dns_matches(std::string_view pattern, std::string_view text) {
    ussl::HostName name;
    EXPECT_TRUE(name.parse(text)) << text;
    ussl::HostNameCheck check(name);
    check.alternative_dns(pattern);
    return check.matches();
}

std::string address_of(std::string_view text) {
    ussl::HostName name;
    EXPECT_TRUE(name.parse(text)) << text;
    std::string hex;
    for (const std::uint8_t byte : name.address()) {
        hex += "0123456789abcdef"[byte >> 4];
        hex += "0123456789abcdef"[byte & 15];
    }
    return hex;
}

TEST(HostName, TakesNamesAndAddresses) {
    for (const char* good : {"localhost", "a.b.c", "xn--bcher-kva.example", "a-b.example",
                             "1a.example", "_mqtt.example", "example.org.", "3com.com"})
        EXPECT_TRUE(parses(good)) << good;
    EXPECT_TRUE(parses(std::string(63, 'a') + ".example"));
    EXPECT_EQ(address_of("127.0.0.1"), "7f000001");
    EXPECT_EQ(address_of("::"), "00000000000000000000000000000000");
    EXPECT_EQ(address_of("::1"), "00000000000000000000000000000001");
    EXPECT_EQ(address_of("1::"), "00010000000000000000000000000000");
    EXPECT_EQ(address_of("2001:db8::a:1"), "20010db80000000000000000000a0001");
    EXPECT_EQ(address_of("1:2:3:4:5:6:7:8"), "00010002000300040005000600070008");
    EXPECT_EQ(address_of("1:2:3:4:5:6:7::"), "00010002000300040005000600070000");
    EXPECT_EQ(address_of("::ffff:1.2.3.4"), "00000000000000000000ffff01020304");
    EXPECT_EQ(address_of("1:2:3:4:5:6:1.2.3.4"), "00010002000300040005000601020304");
}

TEST(HostName, RefusesEverythingElse) {
    for (const char* bad : {"",
                            ".",
                            "..",
                            "a..b",
                            ".a",
                            "a..",
                            "a b",
                            "a/b",
                            "a\nb",
                            "*.example",
                            "b\xc3\xbc"
                            "cher",
                            "1.2.3",
                            "1.2.3.256",
                            "01.2.3.4",
                            "1.2.3.4.5",
                            "1:2",
                            ":::",
                            "1::2::3",
                            "1:2:3:4:5:6:7:8:9",
                            "12345::",
                            "::g",
                            "[::1]",
                            "1:2:3:4:5:6:7:1.2.3.4",
                            "1:2:3:4::5:6:7:8",
                            "a{b",
                            "::1%eth0",
                            "example.1"})
        EXPECT_FALSE(parses(bad)) << bad;
    EXPECT_FALSE(parses(std::string(64, 'a') + ".example"));
    EXPECT_FALSE(parses(std::string_view("a\0b", 3)));
    std::string much;
    for (int i = 0; i < 60; ++i)
        much += "abcd.";
    EXPECT_FALSE(parses(much + "e"));
}

TEST(HostName, MatchesDnsNames) {
    EXPECT_TRUE(dns_matches("example.org", "example.org"));
    EXPECT_TRUE(dns_matches("EXAMPLE.org", "example.ORG"));
    EXPECT_TRUE(dns_matches("example.org.", "example.org"));
    EXPECT_TRUE(dns_matches("example.org", "example.org."));
    EXPECT_TRUE(dns_matches("*.example.org", "a.example.org"));
    EXPECT_FALSE(dns_matches("*.example.org", "example.org"));
    EXPECT_FALSE(dns_matches("*.example.org", "a.b.example.org"));
    EXPECT_FALSE(dns_matches("*.example.org", "aexample.org"));
    EXPECT_FALSE(dns_matches("*.org", "example.org"));
    EXPECT_FALSE(dns_matches("*", "localhost"));
    EXPECT_FALSE(dns_matches("*.", "localhost"));
    EXPECT_FALSE(dns_matches("a*.example.org", "ab.example.org"));
    EXPECT_FALSE(dns_matches("*a.example.org", "ba.example.org"));
    EXPECT_FALSE(dns_matches("a.*.org", "a.example.org"));
    EXPECT_FALSE(dns_matches("*.*.org", "a.example.org"));
    EXPECT_FALSE(dns_matches("", "localhost"));
    EXPECT_FALSE(dns_matches(std::string_view("localhost\0.evil.example", 23), "localhost"));
    EXPECT_FALSE(dns_matches("example.org", "example.org.evil.example"));
    EXPECT_FALSE(dns_matches("127.0.0.1", "127.0.0.1"));  // an address is no name
}

TEST(HostName, MatchesAddressesAndCommonNames) {
    ussl::HostName address;
    ASSERT_TRUE(address.parse("127.0.0.1"));
    const std::uint8_t same[] = {127, 0, 0, 1};
    const std::uint8_t other[] = {127, 0, 0, 2};
    const std::uint8_t longer[] = {127, 0, 0, 1, 0};
    ussl::HostNameCheck check(address);
    check.alternative_address(other);
    check.alternative_address(longer);
    check.alternative_address({});
    check.common_name("127.0.0.1");
    EXPECT_FALSE(check.matches());
    check.alternative_address(same);
    EXPECT_TRUE(check.matches());

    ussl::HostName name;
    ASSERT_TRUE(name.parse("localhost"));
    ussl::HostNameCheck alone(name);
    alone.common_name("localhost");
    EXPECT_TRUE(alone.matches());
    // Any alternative name makes the common name void.
    ussl::HostNameCheck with_other(name);
    with_other.alternative_other();
    with_other.common_name("localhost");
    EXPECT_FALSE(with_other.matches());
    ussl::HostNameCheck with_address(name);
    with_address.alternative_address(same);
    with_address.common_name("localhost");
    EXPECT_FALSE(with_address.matches());
}

}  // namespace
}  // namespace contract
