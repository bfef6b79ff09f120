// Data for a client.

#include "takeover.hpp"

void fuzz::run(Input& input) {
    take_over(input, Role::client, false);
}
