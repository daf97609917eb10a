#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/operation.hpp"
#include "io/output_file.hpp"

namespace kiban::engine {

/// What a port of kind report fills in memory, as std::shared_ptr.
struct MemoryReport {
  nlohmann::json document;
};

/// Where figures go that are more than a Finding: a JSON file, or memory. A port that is not used takes nothing.
class ReportSink {
 public:
  /// Claims the output. Errors: input (the file cannot be written).
  ReportSink(const Request& request, const std::string& port);

  /// Numbers that are not finite become null. Errors: input (the disk is full).
  void put(nlohmann::json document);
  /// What `io::commit_together` gives its name; null in memory.
  io::OutputFile* finish();
  void hand_over();

 private:
  nlohmann::json document_;
  std::shared_ptr<MemoryReport> memory_;
  std::optional<io::OutputFile> file_;
};

}  // namespace kiban::engine
