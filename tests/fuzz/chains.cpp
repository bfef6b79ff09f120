#include "fuzz.hpp"
void fuzz::run(Input&) {}
