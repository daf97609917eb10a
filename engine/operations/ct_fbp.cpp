#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/operations/reconstruction.hpp"
#include "engine/operations/scan_port.hpp"
#include "engine/operations/standard.hpp"
#include "engine/operations/volume_port.hpp"
#include "kernels/core/error.hpp"
#include "kernels/ct/flat_field.hpp"
#include "kernels/ct/parallel_scan.hpp"
#include "kernels/ct/rotation_centre.hpp"

namespace kiban::engine {
namespace {

std::vector<double> angles_of(const ScanSource& scan, const Values& values) {
  if (scan.has_angles()) {
    if (values.has("arc-deg"))
      throw Error(ErrorCode::usage, fmt::format("arc-deg contradicts the angles in {}; leave it out", scan.name()));
    return scan.angles_deg();
  }
  if (!values.has("arc-deg"))
    throw Error(ErrorCode::usage, fmt::format("{} holds no angles (exchange/theta); give arc-deg", scan.name()));
  std::vector<double> angles(static_cast<std::size_t>(scan.shape()[0]));
  for (std::size_t k = 0; k < angles.size(); ++k)
    angles[k] = values.real("arc-deg") * static_cast<double>(k) / static_cast<double>(angles.size());
  return angles;
}

/// Line integrals from a raw scan's counts, corrected on their way.
class CorrectedScan : public LineIntegrals {
 public:
  explicit CorrectedScan(const Request& request)
      : scan_(request, "scan"),
        angles_(angles_of(scan_, request.parameters)),
        flat_field_plan_(scan_.with_frames([](auto flats, auto darks) { return ct::plan_flat_field(flats, darks); })),
        panel_{.rows = scan_.shape()[1],
               .columns = scan_.shape()[2],
               .pixel_mm = request.parameters.real("pixel-mm"),
               .centre_column = 0.5 * static_cast<double>(scan_.shape()[2] - 1),
               .direction = request.parameters.text("direction") == "reverse" ? -1 : 1},
        centre_is_given_(request.parameters.has("centre")) {
    if (!centre_is_given_) return;
    panel_.centre_column = request.parameters.real("centre");
    if (panel_.centre_column > static_cast<double>(panel_.columns - 1))
      throw Error(ErrorCode::usage, fmt::format("centre is {} pixel, but {} has columns 0 to {}", panel_.centre_column,
                                                scan_.name(), panel_.columns - 1));
  }

  std::string name() const override { return scan_.name(); }
  bool knows_its_geometry() const override { return centre_is_given_; }
  ct::Geometry planned_geometry() const override { return ct::parallel_scan_geometry(panel_, angles_); }

  ct::Geometry geometry(Stream& stream, Progress& progress) override {
    progress.enter("compute");
    flat_field_.emplace(stream, flat_field_plan_);
    if (!centre_is_given_) {
      const Array<float, 3> rows = rows_for_centre(stream, progress);
      progress.enter("centre");
      panel_.centre_column = ct::find_rotation_centre(stream, rows.span(), angles_);
    }
    return planned_geometry();
  }

  Span<const float, 3> read(Stream& stream, Progress& progress, std::int64_t first, std::int64_t count) override {
    progress.enter("read");
    const Span<const float, 3> counts = counts_of(first, count);
    progress.enter("compute");
    return corrected(stream, counts);
  }

  void prefetch(Progress& progress) override {
    if (scan_.in_memory() || prefetched_.size() != 0) return;
    progress.enter("read");
    Array<float, 3> all(scan_.shape());
    for (std::int64_t first = 0; first < scan_.shape()[0]; first += views_at_a_time()) {
      progress.check();
      const std::int64_t end = std::min(first + views_at_a_time(), scan_.shape()[0]);
      scan_.read(first, end, all.span().slice(first, end));
    }
    prefetched_ = std::move(all);
    progress.finish();
  }
  std::size_t prefetch_bytes() const override {
    return scan_.in_memory() ? 0 : static_cast<std::size_t>(element_count<3>(scan_.shape())) * sizeof(float);
  }

  /// What the search for the centre keeps.
  std::size_t host_bytes() const override {
    if (centre_is_given_) return 0;
    return ct::rotation_centre_rows(panel_.rows).size() * angles_.size() * static_cast<std::size_t>(panel_.columns) *
           sizeof(float);
  }
  std::size_t device_bytes() const override {
    return static_cast<std::size_t>((2 + views_at_a_time()) * panel_.rows * panel_.columns) * sizeof(float);
  }

  std::vector<Finding> findings() const override { return {{"centre", panel_.centre_column, "pixel"}}; }

 private:
  std::int64_t views_at_a_time() const {
    return std::min(scan_.shape()[0], slices_at_a_time({1, panel_.rows, panel_.columns}));
  }

  /// Memory for `count` views.
  Span<float, 3> room(Array<float, 3>& array, std::int64_t count, Device device) const {
    if (array.shape()[0] < count) array = Array<float, 3>({count, panel_.rows, panel_.columns}, device);
    return array.span().slice(0, count);
  }

  /// In host memory.
  Span<const float, 3> counts_of(std::int64_t first, std::int64_t count) {
    if (prefetched_.size() != 0) return std::as_const(prefetched_).span().slice(first, first + count);
    const Span<float, 3> views = room(views_, count, Device{});
    scan_.read(first, first + count, views);
    return views;
  }

  /// Counts become line integrals: in host memory of our own, or in the device's where that is another.
  Span<const float, 3> corrected(Stream& stream, Span<const float, 3> counts) {
    const std::int64_t count = counts.extent(0);
    if (stream.device() == counts.device()) {
      const Span<float, 3> views = room(views_, count, Device{});
      flat_field_->run(stream, counts, views);
      return views;
    }
    const Span<float, 3> there = room(scratch_, count, stream.device());
    copy<float, 3>(stream, counts, there);
    flat_field_->run(stream, there, there);
    stream.synchronize();
    return there;
  }

  /// Line integrals of the few rows that the search for the centre wants: one pass through the scan.
  Array<float, 3> rows_for_centre(Stream& stream, Progress& progress) {
    const std::vector<std::int64_t> wanted = ct::rotation_centre_rows(panel_.rows);
    const std::int64_t views = scan_.shape()[0];
    Array<float, 3> rows({views, static_cast<std::int64_t>(wanted.size()), panel_.columns});
    const Span<float, 3> all = rows.span();
    for (std::int64_t first = 0; first < views; first += views_at_a_time()) {
      const Span<const float, 3> part = read(stream, progress, first, std::min(views_at_a_time(), views - first));
      for (std::int64_t k = 0; k < part.extent(0); ++k)
        for (std::size_t row = 0; row < wanted.size(); ++row)
          copy<float, 1>(stream, line(part, k, wanted[row]), line(all, first + k, static_cast<std::int64_t>(row)));
      stream.synchronize();
    }
    return rows;
  }

  /// One row of one view.
  template <class T>
  static Span<T, 1> line(const Span<T, 3>& views, std::int64_t view, std::int64_t row) {
    T* const first = views.on(views.device()).data;
    return {first + (view * views.extent(1) + row) * views.extent(2), {views.extent(2)}, views.device()};
  }

  ScanSource scan_;
  std::vector<double> angles_;
  ct::FlatFieldPlan flat_field_plan_;
  ct::ParallelScan panel_;
  bool centre_is_given_;
  std::optional<ct::FlatField> flat_field_;
  Array<float, 3> prefetched_;  ///< all counts
  Array<float, 3> views_;       ///< on the host
  Array<float, 3> scratch_;     ///< the same on a device that is another
};

}  // namespace

Operation ct_fbp() {
  Operation operation;
  operation.name = "ct.fbp";
  operation.summary =
      "Reconstructs a volume from a raw parallel-beam scan: flat and dark correction, logarithm, centre, "
      "backprojection";
  operation.notes = {
      "The scan is a Data Exchange HDF5 file: counts in exchange/data, flats in exchange/data_white, darks, where "
      "there "
      "are any, in exchange/data_dark, angles in exchange/theta.",
      "The rotation axis runs along the detector's columns and is the y axis of the volume.",
      "The volume is in mm^-1 if `--pixel-mm` is right; with the default of 1 mm it is per pixel.",
      "Without `--centre` the centre of rotation is found from the data and reported.",
  };
  operation.ports = {{"scan", PortDirection::in, PortKind::scan, true, "Data Exchange HDF5 (.h5)"}};
  operation.parameters = {
      Parameter::real("centre", "pixel",
                      "Column on which the rotation axis projects, counted from 0, fractions allowed")
          .or_else("found from the data")
          .at_least(0)
          .at_most(1e6),
      Parameter::real("pixel-mm", "mm", "Pitch of the detector's pixels").by_default(1.0).above(0).at_most(1e4),
      Parameter::real("arc-deg", "deg", "For a scan that holds no angles: spread evenly from 0, the end excluded")
          .or_else("the scan's own angles")
          .above(0)
          .at_most(3600),
      Parameter::choice("direction", {"forward", "reverse"}, "Sense of the rotation; the wrong one mirrors the volume")
          .by_default("forward"),
  };
  declare_reconstruction(operation);
  operation.load = [](const Request& request) {
    return reconstruct(std::make_unique<CorrectedScan>(request), request);
  };
  return operation;
}

}  // namespace kiban::engine
