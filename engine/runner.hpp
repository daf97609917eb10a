#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/operation.hpp"

namespace kiban::engine {

/// What a run did, for the user and for the record.
struct Report {
  std::string operation;
  int operation_version = 0;
  Values parameters;
  std::map<std::string, std::filesystem::path> outputs;
  std::vector<Finding> findings;
  Plan plan;
  std::vector<StageTime> stages;
  double seconds = 0;             ///< all stages together
  double updates_per_second = 0;  ///< over the stage "compute"; 0 where the operation counts no updates
  std::string device, device_model, instruction_set;
  int threads = 0;
};

/// All files that an input of this kind consists of, `path` among them or not: the slices of a folder, the pixels
/// beside a header. The runner keeps outputs off them. Defined where formats are known, in engine/operations/.
std::vector<std::filesystem::path> files_behind(PortKind kind, const std::filesystem::path& path);

/// An output that replaced an input, or another output, would lose it. Errors: usage (names both).
void require_different_files(const Operation& operation, const Request& request);

/// What a plan takes of the host's memory and of the device's own: only a GPU has any.
struct MemoryNeed {
  std::size_t host_bytes = 0, device_bytes = 0;
};
MemoryNeed memory_need(const Plan& plan, Device device);

/// "1.5 GiB", for sentences.
std::string human_bytes(std::size_t bytes);

/// What is free now. A device that `devices()` does not list works in the host's memory.
MemoryNeed free_memory(Device device);

/// Errors: input, device (more is needed than is free now; names both).
void require_memory(const MemoryNeed& need, Device device);

/// While it lives, a request to stop ends the parallel work of the stream, which may be long between two steps of a
/// run.
class StopBetweenPieces {
 public:
  StopBetweenPieces(Stream& stream, std::function<void()> check);
  ~StopBetweenPieces();
  StopBetweenPieces(const StopBetweenPieces&) = delete;
  StopBetweenPieces& operator=(const StopBetweenPieces&) = delete;

 private:
  Stream& stream_;
};

/// Of a piece of work that was run on `stream` and stored.
Report report_of(const Operation& operation, const Request& request, const Work& work, const Plan& plan,
                 const Progress& progress, const Stream& stream);

/// Loads, plans, runs and stores one request.
/// Errors: usage (an output is a file of an input, or of another output) · input (files, data, no folder for an output,
/// more host memory than is free) · device (missing, or too small) · Cancelled. After any of them no output appears.
Report run(const Operation& operation, const Request& request, Stream& stream, Progress& progress);

/// High-water mark of the process's resident memory, so far.
std::size_t peak_memory_bytes();

/// With `peak_memory_bytes` as it is now.
nlohmann::json to_json(const Report& report);

/// Of Kiban: "0.1.0".
std::string version();

}  // namespace kiban::engine
