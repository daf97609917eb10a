#pragma once
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "engine/watch_folder/rules.hpp"
#include "kernels/core/error.hpp"
#include "tests/support/process.hpp"

namespace kiban::test {

/// An operation that nobody runs here: one input that is needed, one that is not, one output, one parameter.
inline engine::Registry small_registry() {
  engine::Operation operation;
  operation.name = "test.scale";
  operation.version = 7;
  operation.parameters = {engine::Parameter::real("factor", "", "what").by_default(1.0).at_least(0).at_most(10),
                          engine::Parameter::choice("mode", {"fast", "exact"}, "how").by_default(std::string("fast"))};
  operation.ports = {{"scan", engine::PortDirection::in, engine::PortKind::volume, true, "what to scale"},
                     {"mask", engine::PortDirection::in, engine::PortKind::volume, false, "where"},
                     {"result", engine::PortDirection::out, engine::PortKind::volume, true, "what comes out"}};
  return engine::Registry({operation});
}

/// A format for tests: "TAGS", then a line NAME=VALUE for each.
inline engine::TagReader small_tags() {
  engine::TagReader reader;
  reader.require = [](const std::string& name) {
    if (name != "Modality" && name != "Part") throw Error(ErrorCode::usage, name + " is no tag");
  };
  reader.read = [](const std::filesystem::path& file,
                   const std::vector<std::string>& names) -> std::optional<engine::TagReader::Values> {
    std::ifstream stream(file);
    std::string line;
    std::getline(stream, line);
    if (line == "BROKEN") throw Error(ErrorCode::input, file.string() + ": is broken, Secret^Name");
    if (line != "TAGS") return std::nullopt;
    engine::TagReader::Values values;
    while (std::getline(stream, line))
      for (const std::string& name : names)
        if (line.starts_with(name + "=")) values[name] = line.substr(name.size() + 1);
    return values;
  };
  return reader;
}

inline void write_text(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

/// What an error says, or "" where there is none.
inline std::string complaint(const std::function<void()>& work, ErrorCode code = ErrorCode::usage) {
  try {
    work();
    return "";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
}

}  // namespace kiban::test
