#include "kernels/core/device_hooks.hpp"

// The simulator needs no driver; kernels/core/cuda/driver.cpp is its twin.
std::string kiban::sim::device_absence() { return ""; }
