#include "bindings/python/run.hpp"

#include <fmt/format.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "bindings/python/arrays.hpp"
#include "bindings/python/geometry.hpp"
#include "bindings/python/json_value.hpp"
#include "engine/operations/pairs_port.hpp"
#include "engine/operations/report_port.hpp"
#include "engine/operations/scan_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "engine/runner.hpp"
#include "kernels/core/error.hpp"

namespace kiban::python {
namespace {

using engine::Binding;
using engine::PortKind;

/// What is told of a run, seen from Python: its JSON is written when somebody asks.
struct Report {
  engine::Report report;
};

/// Watches a run on behalf of Python: its signals, and the caller's function. The clock keeps short runs from taking
/// the interpreter's lock.
class Watch {
 public:
  explicit Watch(nb::object listener) : listener_(std::move(listener)) {}

  engine::Progress progress() {
    return {[this](std::string_view stage, double fraction) { tell(stage, fraction); }, [this] { return stop(); }};
  }
  /// What Python raised, to be raised again.
  std::optional<nb::python_error>& raised() { return raised_; }

 private:
  using Clock = std::chrono::steady_clock;

  void tell(std::string_view stage, double fraction) {
    if (listener_.is_none()) return;
    const nb::gil_scoped_acquire lock;
    try {
      listener_(nb::str(stage.data(), stage.size()), fraction);
    } catch (nb::python_error& error) {
      keep(std::move(error));
    }
  }
  /// From any thread of the run; Python looks at its signals in its main thread only, whichever that is here.
  bool stop() {
    if (stopped_) return true;
    if (std::this_thread::get_id() != caller_) return false;
    const Clock::time_point now = Clock::now();
    if (now - asked_ < std::chrono::milliseconds(50)) return false;
    asked_ = now;
    const nb::gil_scoped_acquire lock;
    if (PyErr_CheckSignals() != 0) keep(nb::python_error());
    return stopped_;
  }
  void keep(nb::python_error error) {
    raised_.emplace(std::move(error));
    stopped_ = true;
  }

  nb::object listener_;
  std::optional<nb::python_error> raised_;
  std::atomic<bool> stopped_{false};  ///< `raised_` has a value
  Clock::time_point asked_ = Clock::now();
  std::thread::id caller_ = std::this_thread::get_id();
};

/// A request from Python's objects, and what keeps their memory alive.
class Call {
 public:
  Call(const engine::Operation& operation, const nb::dict& parameters, const nb::dict& ports) : operation_(operation) {
    nlohmann::json values = nlohmann::json::object();
    for (const auto& [key, value] : parameters) {
      std::string name = nb::cast<std::string>(key);
      values[name] = json_of(value, name);
    }
    request_.parameters = engine::Values::from_json(operation.parameters, values);
    for (const engine::Port& port : operation.ports) {
      const nb::object given = ports.contains(port.name.c_str()) ? nb::object(ports[port.name.c_str()]) : nb::none();
      if (port.direction == engine::PortDirection::in && !given.is_none()) bind_input(port, given);
    }
    for (const engine::Port& port : operation.ports)
      if (port.direction == engine::PortDirection::out && ports.contains(port.name.c_str()))
        bind_output(port, nb::object(ports[port.name.c_str()]));
    for (const engine::Port& port : operation.ports)
      if (port.required && !request_.uses(port.name))
        throw Error(ErrorCode::usage, fmt::format("{} must be given: {}", port.name, port.help));
  }

  const engine::Request& request() const { return request_; }

  /// Where the inputs are, if any lies in a device's memory; else what `asked_for` says.
  /// Errors: usage (the run is asked for elsewhere) · device.
  Device device(const std::string& asked_for) const {
    if (inputs_on_ == Device{}) return parse_device(asked_for);
    if (asked_for != "auto" && parse_device(asked_for) != inputs_on_)
      throw Error(ErrorCode::usage, fmt::format("the run is to be on {} and an input lies on {}; leave device out, or "
                                                "copy the array",
                                                asked_for, name(inputs_on_)));
    return inputs_on_;
  }

  nb::dict outputs() {
    nb::dict made;
    for (const auto& [name, result] : volumes_) {
      const Grid& grid = result.memory->volume.grid;
      nb::object array = result.given.is_none() ? to_python(std::move(result.memory->volume.values)) : result.given;
      const nb::tuple place = place_tuple(grid);
      made[name.c_str()] = nb::make_tuple(array, place[0], place[1], place[2]);
    }
    for (auto& [name, likelihoods] : likelihoods_) made[name.c_str()] = array_of(std::move(likelihoods->values));
    for (const auto& [name, report] : reports_)
      made[name.c_str()] = nb::module_::import_("json").attr("loads")(report->document.dump());
    for (const auto& [name, geometry] : geometries_) made[name.c_str()] = nb::cast(Geometry{std::move(*geometry)});
    return made;
  }

 private:
  struct Result {
    std::shared_ptr<engine::MemoryResult> memory;
    nb::object given;
  };

  /// A NumPy array that owns the values: [read, haplotype] of the region that was given, [pair] of a file's.
  nb::object array_of(std::vector<double>&& values) const {
    auto* const kept = new std::vector<double>(std::move(values));
    const nb::capsule owner(kept, [](void* at) noexcept { delete static_cast<std::vector<double>*>(at); });
    const std::vector<std::size_t> shape =
        region_shape_.empty() ? std::vector<std::size_t>{kept->size()} : region_shape_;
    return nb::cast(nb::ndarray<nb::numpy, double>(kept->data(), shape.size(), shape.data(), owner));
  }

  static bool is_path(nb::handle given) { return nb::isinstance<nb::str>(given); }

  void bind_input(const engine::Port& port, const nb::object& given) {
    Binding& binding = request_.ports[port.name];
    if (is_path(given))
      binding = std::filesystem::path(nb::cast<std::string>(given));
    else if (port.kind == PortKind::geometry)
      binding = Binding::memory(nb::cast<const Geometry&>(given).scan);
    else if (port.kind == PortKind::scan)
      binding = Binding::memory(scan(port, nb::cast<nb::dict>(given)));
    else if (port.kind == PortKind::pairs)
      binding = Binding::memory(pairs(nb::cast<nb::dict>(given)));
    else
      binding = Binding::memory(volume(port, given));
  }

  /// An array, or a tuple of an array, spacing, origin and direction.
  engine::MemoryVolume volume(const engine::Port& port, const nb::object& given) {
    const bool is_placed = nb::isinstance<nb::tuple>(given);
    const std::size_t axes = port.kind == PortKind::logits ? 4 : 3;
    const ImageView view = input(is_placed ? nb::object(given[0]) : given, port.name, axes);
    const VoxelSpan& values = view.values;
    if (values.device() != Device{} && inputs_on_ != Device{} && values.device() != inputs_on_)
      throw Error(ErrorCode::usage, fmt::format("{} lies on {} and another input on {}; copy one of them", port.name,
                                                name(values.device()), name(inputs_on_)));
    if (values.device() != Device{}) inputs_on_ = values.device();
    if (is_placed) return {values, grid_of(values.shape(), given[1], given[2], given[3])};
    Shape<3> shape = values.shape();
    shape[0] /= std::max<std::int64_t>(view.volumes, 1);
    return {values, Grid::centred(shape, {1, 1, 1}), false, view.volumes};
  }

  engine::MemoryScan scan(const engine::Port& port, const nb::dict& arrays) {
    for (const auto& [key, value] : arrays)
      if (const auto name = nb::cast<std::string>(key);
          name != "counts" && name != "flats" && name != "darks" && name != "angles_deg")
        throw Error(ErrorCode::usage, fmt::format("{} has no {}; give counts, flats, and where there are any darks and "
                                                  "angles_deg",
                                                  port.name, name));
    const auto host = [&](const char* name) {
      if (!arrays.contains(name)) throw Error(ErrorCode::usage, fmt::format("{} lacks {}", port.name, name));
      const VoxelSpan values = input(arrays[name], name).values;
      engine::require_float32(values, name);
      const Span<float, 3> floats = values.as<float>();
      floats.host();
      return floats;
    };
    engine::MemoryScan scan{host("counts"), host("flats"), {}, {}};
    const Shape<3>& shape = scan.counts.shape();
    scan.darks = arrays.contains("darks") ? host("darks") : Span<float, 3>(nullptr, {0, shape[1], shape[2]});
    if (arrays.contains("angles_deg"))
      for (const nb::handle angle : nb::borrow<nb::object>(arrays["angles_deg"]))
        scan.angles_deg.push_back(nb::cast<double>(nb::float_(angle)));
    return scan;
  }

  /// Arrays that kiban._calls made, one region.
  engine::MemoryPairs pairs(const nb::dict& arrays) {
    const auto values = [&]<class T>(const char* name, T) {
      using Values = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
      const auto array = nb::cast<Values>(arrays[name]);
      kept_.push_back(nb::borrow<nb::object>(arrays[name]));
      return std::span<const T>(array.data(), array.size());
    };
    const auto bytes = [&](const char* name) { return values(name, std::uint8_t{}); };
    const auto offsets = [&](const char* name) { return values(name, std::int64_t{}); };
    region_shape_ = {offsets("read_begin").size() - 1, offsets("haplotype_begin").size() - 1};
    return {{bytes("bases"), bytes("base_quality"), bytes("insertion_quality"), bytes("deletion_quality"),
             bytes("gap_quality"), offsets("read_begin")},
            {bytes("haplotype_bases"), offsets("haplotype_begin")},
            offsets("reads_begin"),
            offsets("haplotypes_begin")};
  }

  ImageView input(const nb::object& array, const std::string& name, std::size_t axes = 3) {
    const ImageView view = view_of(array, name, false, axes);
    kept_.push_back(view.owner);
    inputs_.push_back(view.values);
    return view;
  }

  /// A path, an array to be filled, or None for new memory.
  void bind_output(const engine::Port& port, const nb::object& given) {
    if (is_path(given)) {
      request_.ports[port.name] = std::filesystem::path(nb::cast<std::string>(given));
    } else if (port.kind == PortKind::geometry) {
      auto geometry = std::make_shared<engine::ScanGeometry>();
      request_.ports[port.name] = Binding::memory(geometry);
      geometries_[port.name] = std::move(geometry);
    } else if (port.kind == PortKind::report) {
      auto report = std::make_shared<engine::MemoryReport>();
      request_.ports[port.name] = Binding::memory(report);
      reports_[port.name] = std::move(report);
    } else if (port.kind == PortKind::likelihoods) {
      auto likelihoods = std::make_shared<engine::MemoryLikelihoods>();
      request_.ports[port.name] = Binding::memory(likelihoods);
      likelihoods_[port.name] = std::move(likelihoods);
    } else {
      auto result = std::make_shared<engine::MemoryResult>();
      result->device = inputs_on_;
      if (!given.is_none()) result->given = target(given, port.name);
      request_.ports[port.name] = Binding::memory(result);
      volumes_[port.name] = {std::move(result), given};
    }
  }

  VoxelSpan target(const nb::object& array, const std::string& name) {
    ImageView view = view_of(array, name, true);
    kept_.push_back(std::move(view.owner));
    for (const VoxelSpan& other : inputs_)
      if (overlap(view.values, other))
        throw Error(ErrorCode::usage,
                    fmt::format("{} is memory of an input, which must not change; give another array", name));
    inputs_.push_back(view.values);
    return view.values;
  }

  static bool overlap(const VoxelSpan& a, const VoxelSpan& b) {
    if (a.device() != b.device()) return false;
    const auto *const first = static_cast<const char*>(a.data()), *const second = static_cast<const char*>(b.data());
    return first < second + b.bytes() && second < first + a.bytes();
  }

  const engine::Operation& operation_;
  engine::Request request_;
  std::vector<nb::object> kept_;
  std::vector<VoxelSpan> inputs_;  ///< and outputs that were given
  Device inputs_on_;
  std::map<std::string, Result> volumes_;
  std::map<std::string, std::shared_ptr<engine::ScanGeometry>> geometries_;
  std::map<std::string, std::shared_ptr<engine::MemoryLikelihoods>> likelihoods_;
  std::map<std::string, std::shared_ptr<engine::MemoryReport>> reports_;
  std::vector<std::size_t> region_shape_;
};

nb::tuple run(const std::string& name, const nb::dict& parameters, const nb::dict& ports, const std::string& device,
              int threads, nb::object listener) {
  const engine::Operation& operation = registry().find(name);
  Call call(operation, parameters, ports);
  Watch watch(std::move(listener));
  Report report;
  try {
    const nb::gil_scoped_release unlocked;
    const Device place = call.device(device);
    synchronize(place);  // arrays of other libraries may still be written, on streams of theirs
    Stream stream(place, threads);
    engine::Progress progress = watch.progress();
    report.report = engine::run(operation, call.request(), stream, progress);
  } catch (const engine::Cancelled&) {
    if (watch.raised()) throw std::move(*watch.raised());
    throw;
  }
  if (watch.raised()) throw std::move(*watch.raised());
  return nb::make_tuple(call.outputs(), std::move(report));
}

std::string declarations() {
  nlohmann::json all = nlohmann::json::array();
  for (const engine::Operation& operation : registry().operations()) all.push_back(engine::to_json(operation));
  return all.dump();
}

}  // namespace

const engine::Registry& registry() {
  static const engine::Registry all(engine::standard_operations());
  return all;
}

void define_run(nb::module_& module) {
  nb::class_<Report>(module, "Report", "What a run did: str() is its JSON.").def("__str__", [](const Report& self) {
    nlohmann::json json = engine::to_json(self.report);
    json["peak_memory_bytes"] = engine::peak_memory_bytes();
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  });
  module.def("run", &run, nb::arg("operation"), nb::arg("parameters"), nb::arg("ports"), nb::arg("device"),
             nb::arg("threads"), nb::arg("progress").none(),
             "Runs an operation; kiban._calls and kiban.run call it. Returns outputs by name, and the report.");
  module.def("declarations", &declarations, "JSON of what every operation declares.");
}

}  // namespace kiban::python
