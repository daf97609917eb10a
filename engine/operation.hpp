#pragma once
#include <any>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/parameters.hpp"
#include "engine/progress.hpp"
#include "kernels/core/error.hpp"
#include "kernels/core/stream.hpp"

namespace kiban::engine {

enum class PortDirection { in, out };

/// What flows through a port.
enum class PortKind {
  volume,
  projections,
  image,
  labels,
  logits,
  report,
  geometry,
  scan,
  preview,
  pairs,
  likelihoods,
  reads,
  reference,
  variants,
  regions
};

/// Where data enter or leave an operation. Names are unique among the ports and parameters of an operation.
struct Port {
  std::string name;
  PortDirection direction = PortDirection::in;
  PortKind kind = PortKind::volume;
  bool required = true;
  std::string help;  ///< one line
};

/// What a port of a request is bound to: a file, or an object of this process. Of which type the object is, the port's
/// kind says: engine/operations/volume_port.hpp, geometry_port.hpp, scan_port.hpp, pairs_port.hpp.
class Binding {
 public:
  Binding() = default;
  Binding(std::filesystem::path file) : file_(std::move(file)) {}
  template <class T>
  static Binding memory(T object) {
    Binding binding;
    binding.object_ = std::move(object);
    return binding;
  }

  bool in_memory() const { return object_.has_value(); }
  const std::filesystem::path& file() const { return file_; }
  /// Null if the object is of another type, or if there is none.
  template <class T>
  const T* object() const {
    return std::any_cast<T>(&object_);
  }

 private:
  std::filesystem::path file_;
  std::any object_;
};

/// What is asked of one operation: checked values, and a file or an object for every port that is used.
struct Request {
  Values parameters;
  std::map<std::string, Binding> ports;

  bool uses(const std::string& port) const { return ports.contains(port); }
  bool in_memory(const std::string& port) const { return uses(port) && ports.at(port).in_memory(); }
  /// Errors: internal (the port is not bound to a file).
  const std::filesystem::path& path(const std::string& port) const;
  /// Errors: internal (the port is not bound to an object of this type).
  template <class T>
  const T& object(const std::string& port) const {
    const T* found = uses(port) ? ports.at(port).object<T>() : nullptr;
    if (!found) throw Error(ErrorCode::internal, "port " + port + " is bound to no object of the type of its kind");
    return *found;
  }
  /// The port as sentences name it: the path, or "the array projections".
  std::string described(const std::string& port) const;
};

/// What a run will take, known before it takes it.
struct Plan {
  std::int64_t updates = 0;      ///< elementary steps, for a rate that compares runs: voxels x views for backprojection
  std::size_t host_bytes = 0;    ///< memory of the host: results, and buffers between files and the device
  std::size_t device_bytes = 0;  ///< memory of the device; on a CPU it adds to `host_bytes`
  std::size_t prefetch_bytes = 0;  ///< memory of the host that `Work::prefetch` takes, 0 where it does nothing
  std::string batch_key;  ///< pieces of work of one operation with equal keys may run together; empty: with none
};

/// A fact found in the data that a user wants to know, e.g. the centre of rotation.
struct Finding {
  std::string name;
  double value = 0;
  std::string unit;
};

/// One request whose inputs have been opened and checked. Used in this order: plan, run, store; destroyed without
/// `store` it leaves nothing behind. Outputs are claimed when `run` begins: after memory was found to suffice, and
/// before anything is computed that could not be written.
class Work {
 public:
  virtual ~Work() = default;
  /// What `run` will take on this device. Errors: input, usage.
  virtual Plan plan(Device device) const = 0;
  /// Brings inputs into memory, so that `run` waits for no disk; on a thread of its own, while another piece of work is
  /// run. Without it `run` reads as it goes. Takes `Plan::prefetch_bytes`. Errors: those of `run`.
  virtual void prefetch(Progress&) {}
  /// Reads the inputs and computes; enters the stages "read", "compute", and "write" where results are streamed.
  /// Errors: input (the data) · device · Cancelled.
  virtual void run(Stream& stream, Progress& progress) = 0;
  /// Writes the outputs that are not yet written and gives all of them their names, last of all. Errors: input ·
  /// Cancelled.
  virtual void store(Progress& progress) = 0;
  virtual std::vector<Finding> findings() const { return {}; }
};

/// Something that Kiban can do: described by data, so that every binding reads the same description.
struct Operation {
  std::string name;  ///< field and verb: "ct.fdk"
  int version = 1;   ///< grows when the same request gives another result
  std::string summary;
  std::vector<std::string> notes;  ///< sentences for the documentation: units, conventions, source
  std::string update;              ///< what one of `Plan::updates` is: "voxel x view"
  std::vector<Parameter> parameters;
  std::vector<Port> ports;
  /// Opens and checks the inputs. Errors: input, usage.
  std::function<std::unique_ptr<Work>(const Request&)> load;
  /// Runs works of one batch key together, sharing plan and launches; each as if it had `run` alone, byte for byte.
  /// The failure of one is kept in its place of `failures`, and the others go on. Without it they run one by one.
  /// Errors: those that hit all, as of the device.
  std::function<void(std::span<Work* const> works, Stream& stream, std::span<Progress* const> progress,
                     std::span<std::exception_ptr> failures)>
      run_together;

  /// Adds to what is declared, for parameters that several operations share.
  void add(const std::vector<Parameter>& more) { parameters.insert(parameters.end(), more.begin(), more.end()); }
  void add(const std::vector<Port>& more) { ports.insert(ports.end(), more.begin(), more.end()); }
};

/// A request from texts as a command line has them. Keys of `given` are names of parameters and ports.
/// Errors: usage (unknown name, bad value, missing parameter or port).
Request request_from_text(const Operation& operation, const std::map<std::string, std::string>& given);

/// Errors: usage (a port that is required is not bound).
void require_ports(const Operation& operation, const Request& request);

std::string to_string(PortKind kind);

/// The declaration as data: name, version, summary, parameters with types, units, defaults and ranges, ports.
nlohmann::json to_json(const Operation& operation);

}  // namespace kiban::engine
