#pragma once
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

namespace kiban::test {

/// A file of the test data, or nothing where it is missing: $KIBAN_TEST_DATA, else ../shared/data beside the
/// repository.
inline std::optional<std::filesystem::path> test_data(const std::string& relative) {
  const char* set = std::getenv("KIBAN_TEST_DATA");
  const std::filesystem::path root =
      set ? std::filesystem::path(set) : std::filesystem::path(KIBAN_SOURCE).parent_path() / "shared" / "data";
  const std::filesystem::path path = root / relative;
  return std::filesystem::exists(path) ? std::optional(path) : std::nullopt;
}

}  // namespace kiban::test
