#include <cstdio>
#include <map>
#include <string>

#include "every_header.hpp"

/// Lists what the installed Kiban can do, then projects a small head and reconstructs it with the installed libraries.
int main() {
  const kiban::engine::Registry registry(kiban::engine::standard_operations());
  for (const auto& operation : registry.operations()) std::printf("%s\n", operation.name.c_str());

  kiban::Stream stream;
  const auto run = [&](const char* name, const std::map<std::string, std::string>& given) {
    const kiban::engine::Operation& operation = registry.find(name);
    kiban::engine::Progress progress;
    kiban::engine::run(operation, kiban::engine::request_from_text(operation, given), stream, progress);
  };
  run("ct.simulate", {{"phantom", "shepp-logan"},
                      {"views", "40"},
                      {"columns", "32"},
                      {"density", "1"},
                      {"projections", "p.mha"},
                      {"geometry", "g.xml"}});
  run("ct.fdk",
      {{"projections", "p.mha"}, {"geometry", "g.xml"}, {"size", "16"}, {"spacing-mm", "16"}, {"volume", "v.mha"}});

  const kiban::Volume volume = kiban::io::read_volume("v.mha");
  const float centre = volume.values.host()(8, 8, 8);
  std::printf("centre %.2f mm^-1\n", static_cast<double>(centre));
  return centre > 0.5F && centre < 1.5F ? 0 : 1;
}
