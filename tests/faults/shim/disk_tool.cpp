// What the harness asks of a shadow while no process runs.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "tests/faults/shim/shadow.hpp"

int main(int argc, char** argv) try {
  using kiban::faults::Shadow;
  const std::string verb = argc > 3 ? argv[1] : "";
  if (verb == "flush" && argc == 4) {
    Shadow(argv[2], argv[3]).flush_everything();
  } else if (verb == "fail" && argc == 6) {
    const auto unflushed = argv[4] == std::string("mixed") ? Shadow::Unflushed::mixed : Shadow::Unflushed::dropped;
    Shadow(argv[2], argv[3]).fail_power(unflushed, std::strtoull(argv[5], nullptr, 10));
  } else {
    std::fputs("disk_tool flush ROOT SHADOW | fail ROOT SHADOW dropped|mixed SEED\n", stderr);
    return 2;
  }
  return 0;
} catch (const std::exception& failure) {
  std::fprintf(stderr, "disk_tool: %s\n", failure.what());
  return 1;
}
