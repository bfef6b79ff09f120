// What may come to a server that has a certificate.

#include "takeover.hpp"

void fuzz::run(Input& input) {
    take_over(input, Role::server, false);
}
