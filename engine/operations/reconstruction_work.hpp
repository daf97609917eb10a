#pragma once
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/operations/reconstruction.hpp"
#include "engine/operations/volume_port.hpp"
#include "io/image/preview.hpp"
#include "io/output_file.hpp"
#include "kernels/core/vec.hpp"
#include "kernels/ct/filtered_backprojection.hpp"

namespace kiban::engine {

/// What a request asks of a reconstruction.
struct ReconstructionSettings {
  Grid grid;        ///< in the scanner's frame
  Mat3 to_patient;  ///< from there
  ct::FilteredBackprojectionOptions options;
  io::GreyRange grey_range;  ///< of the preview
};

class ReconstructionWork : public Work {
 public:
  ReconstructionWork(std::unique_ptr<LineIntegrals> line_integrals, const Request& request,
                     const ReconstructionSettings& settings);

  Plan plan(Device device) const override;
  /// Empty where the geometry is not known before the data are read.
  std::string batch_key() const;
  void prefetch(Progress& progress) override { line_integrals_->prefetch(progress); }
  void run(Stream& stream, Progress& progress) override;
  void store(Progress& progress) override;
  std::vector<Finding> findings() const override { return line_integrals_->findings(); }

 private:
  friend class ReconstructionBatch;

  /// Claims the outputs and settles the geometry. Errors: input · usage · Cancelled.
  ct::Geometry open(Stream& stream, Progress& progress);
  std::int64_t views() const { return static_cast<std::int64_t>(planned_.views.size()); }
  std::int64_t views_at_a_time() const;
  std::unique_ptr<LineIntegrals> line_integrals_;
  Request request_;
  ct::Geometry planned_;
  ReconstructionSettings settings_;
  std::optional<VolumeSink> volume_;
  std::optional<io::OutputFile> preview_;
};

/// `Operation::run_together` of every reconstruction. Errors: internal (works of different batch keys).
void reconstruct_together(std::span<Work* const> works, Stream& stream, std::span<Progress* const> progress,
                          std::span<std::exception_ptr> failures);

}  // namespace kiban::engine
